// SPDX-License-Identifier: MIT
// Signal handlers to the letter: flags, masks, restarted calls, alternate stacks, and the ways out of a handler.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t caught, depth, deepest, blocked_inside;
static volatile int other_ran_inside;

static void install(int signal, void (*handler)(int), int flags, const int *masked)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	for (; masked && *masked; masked++) sigaddset(&action.sa_mask, *masked);
	CHECK(sigaction(signal, &action, NULL) == 0);
}

static int is_blocked(int signal)
{
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	return sigismember(&mask, signal);
}

static int status_of(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void count(int signal) { caught++; }

/* What sem_wait waits for is no other process's to give. */
static sem_t semaphore;
static volatile sig_atomic_t posts;
static int handled[2];
static void count_and_post(int signal)
{
	if (++caught == 3 && posts) sem_post(&semaphore);
	(void)!write(handled[1], "x", 1);
}

static void raise_again(int signal)
{
	if (++depth > deepest) deepest = depth;
	blocked_inside = is_blocked(signal);
	if (++caught < 5) raise(signal);
	depth--;
}

static void raise_other(int signal)
{
	int before = caught;
	raise(SIGUSR2);
	other_ran_inside = caught != before;
	blocked_inside = is_blocked(SIGUSR2);
}

static void flags_and_masks(void)
{
	caught = deepest = 0;
	install(SIGUSR1, raise_again, 0, NULL);
	raise(SIGUSR1);
	CHECK(caught == 5 && deepest == 1 && blocked_inside == 1 && !is_blocked(SIGUSR1));
	caught = deepest = 0;
	install(SIGUSR1, raise_again, SA_NODEFER, NULL);
	raise(SIGUSR1);
	CHECK(caught == 5 && deepest == 5 && blocked_inside == 0);

	/* With both, the second one finds the default action. */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		caught = 0;
		install(SIGUSR1, raise_again, SA_NODEFER | SA_RESETHAND, NULL);
		raise(SIGUSR1);
		_exit(0);
	}
	CHECK(status_of(child) == 1000 + SIGUSR1);
	struct sigaction now;
	install(SIGUSR1, count, SA_RESETHAND, NULL);
	caught = 0;
	raise(SIGUSR1);
	CHECK(caught == 1 && sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);

	install(SIGUSR2, count, 0, NULL);
	install(SIGUSR1, raise_other, 0, NULL);
	raise(SIGUSR1);
	CHECK(other_ran_inside && !blocked_inside);
	install(SIGUSR1, raise_other, 0, (int[]){ SIGUSR2, 0 });
	caught = 0;
	raise(SIGUSR1);
	CHECK(!other_ran_inside && blocked_inside && caught == 1 && !is_blocked(SIGUSR2));

	/* Nobody keeps these out. */
	sigset_t all, mask;
	sigfillset(&all);
	CHECK(sigprocmask(SIG_SETMASK, &all, &mask) == 0 && !is_blocked(SIGKILL) && !is_blocked(SIGSTOP) && is_blocked(SIGTERM));
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	CHECK_ERROR(sigprocmask(99, &all, NULL), EINVAL);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	CHECK_ERROR(sigaction(SIGSTOP, &ignore, NULL), EINVAL);
	/* Ignored while it is pending, it is gone. */
	sigemptyset(&all);
	sigaddset(&all, SIGUSR2);
	sigprocmask(SIG_BLOCK, &all, &mask);
	caught = 0;
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	install(SIGUSR2, count, 0, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	CHECK(caught == 0);
	puts("flags, masks");
}

/*
 * Sends the signal each time that the process is asleep again, and then ends what it sleeps in. A process that is
 * woken by a signal may look asleep until it finds the signal (waitpid), so its handler says that it has come that far.
 */
static pid_t victim;
static int ends[2], sockets[2];
static int queue;

static long long_read(void) { char c; return read(ends[0], &c, 1); }
static long long_receive(void) { char c; return recv(sockets[0], &c, 1, 0); }
static long long_wait(void) { return waitpid(-1, NULL, 0) > 0 ? 1 : -1; }
static long long_lock(void)
{
	int fd = open("/tmp/handlers", O_RDWR);
	struct flock lock = { .l_type = F_WRLCK };
	int result = fcntl(fd, F_SETLKW, &lock);
	if (result == 0) result = 1;
	close(fd);
	return result;
}
static long long_flock(void)
{
	int fd = open("/tmp/handlers", O_RDWR);
	int result = flock(fd, LOCK_EX);
	close(fd);
	return result == 0 ? 1 : result;
}
static long long_semaphore(void) { return sem_wait(&semaphore) == 0 ? 1 : -1; }
static long long_poll(void) { return poll(&(struct pollfd){ ends[0], POLLIN }, 1, -1); }
static long long_select(void)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, NULL);
}
static long long_epoll(void)
{
	int fd = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event);
	long result = epoll_wait(fd, &event, 1, -1);
	close(fd);
	return result;
}
static long long_sleep(void) { return nanosleep(&(struct timespec){ 60, 0 }, NULL); }
static long long_pause(void) { return pause(); }
static long long_message(void) { struct { long type; char c; } message; return msgrcv(queue, &message, 1, 0, 0); }
/* Each is interrupted without SA_RESTART; with it, some go on waiting, and are interrupted again and go on again. */
static const struct {
	const char *name;
	long (*call)(void);
	int restarts;
} calls[] = {
	{ "read", long_read, 1 },
	{ "recv", long_receive, 1 },
	{ "waitpid", long_wait, 1 },
	{ "fcntl", long_lock, 1 },
	{ "flock", long_flock, 1 },
	{ "sem_wait", long_semaphore, 1 },
	{ "poll", long_poll, 0 },
	{ "select", long_select, 0 },
	{ "epoll_wait", long_epoll, 0 },
	{ "nanosleep", long_sleep, 0 },
	{ "pause", long_pause, 0 },
	{ "msgrcv", long_message, 0 },
};

static void restart(void)
{
	victim = getpid();
	queue = msgget(IPC_PRIVATE, 0600);
	CHECK(queue >= 0 && pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(sem_init(&semaphore, 0, 0) == 0);
	int lock_file = open("/tmp/handlers", O_RDWR | O_CREAT, 0600);
	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) for (int restarts = 0; restarts < 2; restarts++) {
		int signals = restarts && calls[i].restarts ? 3 : 1, ready[2], over[2];
		char c;
		CHECK(pipe(ready) == 0 && pipe(over) == 0 && pipe(handled) == 0);
		install(SIGUSR1, count_and_post, restarts ? SA_RESTART : 0, NULL);
		caught = 0;
		posts = calls[i].call == long_semaphore;
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			/* It has the locks, is who is waited for, and sends what is read. */
			int fd = open("/tmp/handlers", O_RDWR);
			struct flock lock = { .l_type = F_WRLCK };
			close(over[1]);
			if (flock(fd, LOCK_EX) != 0 || fcntl(fd, F_SETLK, &lock) != 0) _exit(1);
			(void)!write(ready[1], "x", 1);
			for (int n = 0; n < signals; n++) {
				wait_until_asleep(victim);
				kill(victim, SIGUSR1);
				(void)!read(handled[0], &c, 1);
			}
			if (signals == 1) _exit(read(over[0], &c, 1));
			if (calls[i].call != long_semaphore) wait_until_asleep(victim);
			(void)!write(ends[1], "x", 1);
			(void)!write(sockets[1], "x", 1);
			_exit(0);
		}
		CHECK(read(ready[0], &c, 1) == 1);
		errno = 0;
		long result = calls[i].call();
		int error = errno;
		close(over[1]);
		if (signals == 1 ? result != -1 || error != EINTR || caught != 1 : result != 1 || caught != 3) {
			printf("%s, %s: %ld, errno %d, %d signals\n",
				calls[i].name, restarts ? "SA_RESTART" : "no flag", result, error, (int)caught);
			failures++;
		}
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR) { }
		close(ready[0]), close(ready[1]), close(over[0]), close(handled[0]), close(handled[1]);
		while (poll(&(struct pollfd){ ends[0], POLLIN }, 1, 0) > 0) read(ends[0], &c, 1);
		while (poll(&(struct pollfd){ sockets[0], POLLIN }, 1, 0) > 0) read(sockets[0], &c, 1);
	}
	close(lock_file), close(ends[0]), close(ends[1]), close(sockets[0]), close(sockets[1]);
	unlink("/tmp/handlers");
	msgctl(queue, IPC_RMID, NULL);
	puts("interrupted, restarted");
}

/* Stopped and continued in the middle, a sleep goes on for what is left of it, and so does a wait for input. */
static void stopped(void)
{
	int status;
	char c = 0;
	CHECK(pipe(ends) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct timespec rest = { 0 };
		int result = nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, &rest);
		if (result != 0) _exit(1);
		if (poll(&(struct pollfd){ ends[0], POLLIN }, 1, -1) != 1) _exit(2);
		_exit(read(ends[0], &c, 1) == 1 ? 3 : 4);
	}
	victim = child;
	wait_until_asleep(victim);
	for (int i = 0; i < 3; i++) {
		CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
		CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		wait_until_asleep(victim);
	}
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(status_of(child) == 3);
	close(ends[0]), close(ends[1]);
	puts("stopped, continued");
}

static char stack_one[32768], stack_two[32768];
static volatile sig_atomic_t outer_on, inner_on;
static int on_stack(const char *stack, const void *here)
{
	return (const char *)here >= stack && (const char *)here < stack + sizeof stack_one;
}

static void inner(int signal)
{
	int here;
	inner_on = on_stack(stack_one, &here) ? 1 : 0;
}

static void outer(int signal)
{
	int here;
	stack_t now, other = { .ss_sp = stack_two, .ss_size = sizeof stack_two };
	sigaltstack(NULL, &now);
	outer_on = on_stack(stack_one, &here) && now.ss_flags == SS_ONSTACK;
	/* In use, it cannot be changed. */
	if (sigaltstack(&other, NULL) != -1 || errno != EPERM) outer_on = 0;
	raise(SIGUSR2);	/* goes on where this one is */
}

static void without(int signal)
{
	int here;
	outer_on = on_stack(stack_one, &here);
}

static sigjmp_buf back;
static void jump(int signal) { siglongjmp(back, 1); }

static void alternate_stacks(void)
{
	stack_t stack = { .ss_sp = stack_one, .ss_size = sizeof stack_one }, old;
	CHECK(sigaltstack(&stack, &old) == 0 && old.ss_flags == SS_DISABLE);
	install(SIGUSR1, outer, SA_ONSTACK, NULL);
	install(SIGUSR2, inner, SA_ONSTACK, NULL);
	raise(SIGUSR1);
	CHECK(outer_on == 1 && inner_on == 1);
	install(SIGUSR1, without, 0, NULL);
	raise(SIGUSR1);
	CHECK(outer_on == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == stack_one && old.ss_flags == 0);
	/* Left by a jump, it can be used again. */
	install(SIGUSR1, jump, SA_ONSTACK, NULL);
	for (volatile int i = 0; i < 3; i++) if (sigsetjmp(back, 1) == 0) {
		raise(SIGUSR1);
		CHECK(!"jumped");
	}
	install(SIGUSR1, outer, SA_ONSTACK, NULL);
	outer_on = inner_on = 0;
	raise(SIGUSR1);
	CHECK(outer_on == 1 && inner_on == 1);
	/* A child has it, a thread does not; off, it is not used. */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		outer_on = inner_on = 0;
		raise(SIGUSR1);
		_exit(outer_on && inner_on ? 0 : 1);
	}
	CHECK(status_of(child) == 0);
	stack.ss_size = 16;
	CHECK_ERROR(sigaltstack(&stack, NULL), ENOMEM);
	stack.ss_size = sizeof stack_one;
	stack.ss_flags = 77;
	CHECK_ERROR(sigaltstack(&stack, NULL), EINVAL);
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0);
	install(SIGUSR1, without, SA_ONSTACK, NULL);
	outer_on = 1;
	raise(SIGUSR1);
	CHECK(outer_on == 0);
	puts("alternate stacks");
}

static char *program;
static void execute(int signal) { execl(program, program, "executed", NULL), _exit(1); }
static void end(int signal) { exit(17); }
static void end_at_once(int signal) { _exit(18); }
static void at_exit(void) { puts("at exit"); }

/* Ways out of a handler, which interrupts a call that waits. */
static void ways_out(void)
{
	volatile int jumps = 0;
	CHECK(pipe(ends) == 0);
	victim = getpid();
	for (volatile int i = 0; i < 3; i++) {
		char c;
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			wait_until_asleep(victim);
			kill(victim, SIGUSR1);
			_exit(0);
		}
		install(SIGUSR1, jump, SA_RESTART, NULL);
		if (sigsetjmp(back, 1) == 0) read(ends[0], &c, 1);
		else jumps++;
		CHECK(status_of(child) == 0 && !is_blocked(SIGUSR1));
	}
	CHECK(jumps == 3);

	void (*const leave[])(int) = { execute, end, end_at_once };
	const int status[] = { 16, 17, 18 };
	for (int i = 0; i < 3; i++) {
		char c;
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			atexit(at_exit);
			install(SIGUSR1, leave[i], 0, NULL);
			read(ends[0], &c, 1);
			_exit(2);
		}
		victim = child;
		wait_until_asleep(victim);
		kill(child, SIGUSR1);
		CHECK(status_of(child) == status[i]);
	}
	close(ends[0]), close(ends[1]);
	puts("ways out");
}

/* In the program executed by a handler its signal is still blocked, and has no handler. */
static int executed(void)
{
	struct sigaction now;
	CHECK(is_blocked(SIGUSR1) && sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	return failures ? 1 : 16;
}

static volatile pthread_t handled_by;
static void note_thread(int signal) { handled_by = pthread_self(); sem_post(&semaphore); }

static void *wait_in_thread(void *argument)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (argument) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	sem_post(&semaphore);
	for (;;) pause();
	return NULL;
}

static void *sigwait_in_thread(void *argument)
{
	sigset_t set;
	int signal = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigwait(&set, &signal) == 0 && signal == SIGUSR2);
	return NULL;
}

static void wait_semaphore(void) { while (sem_wait(&semaphore) != 0) { } }

/* A signal of the process goes to a thread that does not block it; one of a thread to that thread, when it lets it. */
static void threads(void)
{
	pthread_t blocking, open_thread;
	sigset_t set, old;
	CHECK(sem_init(&semaphore, 0, 0) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
	install(SIGUSR1, note_thread, SA_RESTART, NULL);
	CHECK(pthread_create(&blocking, NULL, wait_in_thread, NULL) == 0);
	CHECK(pthread_create(&open_thread, NULL, wait_in_thread, &open_thread) == 0);
	wait_semaphore();
	wait_semaphore();
	for (int i = 0; i < 20; i++) {
		handled_by = 0;
		CHECK(kill(getpid(), SIGUSR1) == 0);
		wait_semaphore();
		CHECK(pthread_equal(handled_by, open_thread));
	}
	CHECK(pthread_kill(blocking, SIGUSR1) == 0);
	sigset_t pending;
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));	/* it is not of this thread */
	CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	handled_by = 0;
	CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0 && pthread_equal(handled_by, pthread_self()));
	CHECK(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
	CHECK(pthread_cancel(blocking) == 0 && pthread_join(blocking, NULL) == 0);
	CHECK(pthread_cancel(open_thread) == 0 && pthread_join(open_thread, NULL) == 0);
	CHECK(pthread_create(&blocking, NULL, sigwait_in_thread, NULL) == 0);
	kill(getpid(), SIGUSR2);
	CHECK(pthread_join(blocking, NULL) == 0);
	CHECK(pthread_kill(pthread_self(), 0) == 0 && pthread_kill(pthread_self(), 500) == EINVAL);
	CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
	puts("threads");
}

int main(int argc, char **argv)
{
	program = argv[0];
	if (argc > 1) return executed();
	setvbuf(stdout, NULL, _IOLBF, 0);
	flags_and_masks();
	restart();
	stopped();
	alternate_stacks();
	ways_out();
	threads();
	return failures != 0;
}
