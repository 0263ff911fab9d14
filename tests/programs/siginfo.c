// SPDX-License-Identifier: MIT
// What a handler, sigwaitinfo, signalfd and waitid are told of a signal of each kind, and in which order signals come.
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static siginfo_t got;
static volatile sig_atomic_t count, order[64];

static void handler(int signal, siginfo_t *info, void *context)
{
	got = *info;
	if (count < 64) order[count] = info->si_code == SI_QUEUE ? info->si_value.sival_int : -signal;
	count++;
	if (signal != info->si_signo || !context) got.si_signo = -1;
}

static void handle(int signal)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(signal, &action, NULL) == 0);
	memset(&got, 0, sizeof got);
	count = 0;
}

static int ended(pid_t child)
{
	int status;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void sent(void)
{
	pid_t self = getpid();
	handle(SIGUSR1);
	CHECK(kill(self, SIGUSR1) == 0 && count == 1 && got.si_signo == SIGUSR1);
	CHECK(got.si_code == SI_USER && got.si_pid == self && got.si_uid == 0);
	CHECK(raise(SIGUSR1) == 0 && got.si_code == SI_TKILL && got.si_pid == self);
	CHECK(sigqueue(self, SIGUSR1, (union sigval){ .sival_ptr = &got }) == 0);
	CHECK(got.si_code == SI_QUEUE && got.si_value.sival_ptr == &got && got.si_pid == self && got.si_uid == 0);

	/* From another process, of another user. */
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	pid_t child = fork();
	if (child == 0) {
		/* Its real user is told; its effective one may send. */
		if (setresuid(1000, 0, 0) != 0) _exit(1);
		_exit(sigqueue(self, SIGUSR1, (union sigval){ .sival_int = -5 }) == 0 ? 0 : 2);
	}
	int result = ended(child);
	siginfo_t info;
	if (result == 0) {
		CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
		CHECK(info.si_code == SI_QUEUE && info.si_pid == child && info.si_uid == 1000 && info.si_value.sival_int == -5);
	} else {
		CHECK(!"sent");
	}
	/* And of a user who may not. */
	child = fork();
	if (child == 0) {
		if (setuid(1000) != 0) _exit(1);
		_exit(kill(self, SIGUSR1) == -1 && errno == EPERM ? 0 : 2);
	}
	CHECK(ended(child) == 0);

	/* A code that the kernel alone may use is refused when another process is the target. */
	memset(&info, 0, sizeof info);
	info.si_signo = SIGUSR1;
	info.si_code = SI_KERNEL;
	CHECK_ERROR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && count == 3);
	puts("kill, raise, sigqueue");
}

static void by_the_kernel(void)
{
	handle(SIGALRM);
	struct itimerval soon = { .it_value.tv_usec = 1000 };
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	while (!count) pause();
	CHECK(got.si_signo == SIGALRM && got.si_code == SI_KERNEL);

	int ends[2];
	handle(SIGPIPE);
	CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
	CHECK_ERROR(write(ends[1], "x", 1), EPIPE);
	CHECK(count == 1 && got.si_signo == SIGPIPE && got.si_code == SI_USER && got.si_pid == getpid());
	close(ends[1]);

	/* A file that is ready says which it is. */
	int number = SIGRTMIN + 2;
	handle(number);
	CHECK(pipe(ends) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETSIG, number) == 0);
	CHECK(fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && count == 1);
	CHECK(got.si_code == POLL_IN && got.si_fd == ends[0] && got.si_band & 1);
	close(ends[0]), close(ends[1]);

	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number, .sigev_value.sival_int = 77 };
	handle(number);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	struct itimerspec once = { .it_value.tv_nsec = 1000000 };
	CHECK(timer_settime(timer, 0, &once, NULL) == 0);
	while (!count) pause();
	CHECK(got.si_code == SI_TIMER && got.si_value.sival_int == 77 && got.si_overrun == 0 && timer_getoverrun(timer) == 0);

	/* Periods that pass while the signal is blocked are counted, not queued. */
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, number);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	struct itimerspec often = { .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 };
	CHECK(timer_settime(timer, 0, &often, NULL) == 0);
	usleep(20000);
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == number && info.si_code == SI_TIMER && info.si_value.sival_int == 77);
	CHECK(info.si_overrun >= 10 && timer_getoverrun(timer) == info.si_overrun);
	CHECK(timer_delete(timer) == 0);
	while (sigtimedwait(&set, &info, &(struct timespec){ 0 }) > 0) { }
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);

	handle(number);
	mqd_t queue = mq_open("/siginfo", O_RDWR | O_CREAT, 0600, NULL);
	event.sigev_value.sival_int = 78;
	CHECK(queue >= 0 && mq_notify(queue, &event) == 0);
	CHECK_ERROR(mq_notify(queue, &event), EBUSY);
	CHECK(mq_send(queue, "x", 1, 0) == 0 && count == 1);
	CHECK(got.si_code == SI_MESGQ && got.si_value.sival_int == 78 && got.si_pid == getpid());
	mq_close(queue);
	mq_unlink("/siginfo");
	puts("kernel, timers, queues");
}

static siginfo_t child_info[16];
static volatile sig_atomic_t children;
static void on_child(int signal, siginfo_t *info, void *context)
{
	if (children < 16) child_info[children] = *info;
	children++;
}

static void wait_for_children(int number)
{
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	while (children < number) sigsuspend(&old);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* The last SIGCHLD was of @child, and waitid says the same. */
static void check_child(int line, pid_t child, int code, int status)
{
	siginfo_t info, *signal = &child_info[(children - 1) & 15];
	memset(&info, 0, sizeof info);
	if (waitid(P_PID, child, &info, WEXITED | WSTOPPED | WCONTINUED) != 0) info.si_code = -1;
	if (signal->si_code != code || signal->si_status != status || signal->si_pid != child || signal->si_uid != 0 ||
		info.si_code != code || info.si_status != status || info.si_pid != child || info.si_signo != SIGCHLD) {
		printf("line %d: SIGCHLD code %d status %d, waitid code %d status %d\n",
			line, signal->si_code, signal->si_status, info.si_code, info.si_status);
		failures++;
	}
}
#define CHECK_CHILD(child, code, status) check_child(__LINE__, child, code, status)

static void of_children(void)
{
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART };
	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	pid_t child = fork();
	if (child == 0) _exit(33);
	wait_for_children(1);
	CHECK_CHILD(child, CLD_EXITED, 33);
	child = fork();
	if (child == 0) for (;;) pause();
	kill(child, SIGSTOP);
	wait_for_children(2);
	CHECK_CHILD(child, CLD_STOPPED, SIGSTOP);
	kill(child, SIGCONT);
	wait_for_children(3);
	CHECK_CHILD(child, CLD_CONTINUED, SIGCONT);
	kill(child, SIGTERM);
	wait_for_children(4);
	CHECK_CHILD(child, CLD_KILLED, SIGTERM);
	child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGUSR2);
		_exit(1);
	}
	wait_for_children(5);
	CHECK_CHILD(child, CLD_TRAPPED, SIGUSR2);
	kill(child, SIGKILL);
	wait_for_children(6);
	CHECK_CHILD(child, CLD_KILLED, SIGKILL);

	/* Stops are not told where the parent does not want it; the child is not a zombie where it does not either. */
	action.sa_flags = SA_SIGINFO | SA_NOCLDSTOP;
	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	int status;
	child = fork();
	if (child == 0) for (;;) pause();
	kill(child, SIGSTOP);
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	kill(child, SIGCONT);
	CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(children == 6);
	kill(child, SIGKILL);
	wait_for_children(7);
	CHECK(waitpid(child, &status, 0) == child);
	action.sa_flags = SA_SIGINFO | SA_NOCLDWAIT;
	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	child = fork();
	if (child == 0) _exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
	CHECK(errno == ECHILD && children == 8);
	signal(SIGCHLD, SIG_IGN);
	child = fork();
	if (child == 0) _exit(0);
	CHECK_ERROR(waitpid(child, &status, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);
	puts("children");
}

static void in_order(void)
{
	sigset_t set, old;
	union sigval value;
	sigemptyset(&set);
	for (int i = 0; i < 4; i++) {
		handle(SIGRTMIN + i);
		sigaddset(&set, SIGRTMIN + i);
	}
	handle(SIGUSR1);
	sigaddset(&set, SIGUSR1);
	/* Each handler keeps the others out, so that they run one after the other. */
	for (int i = 0; i < 4; i++) {
		struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO, .sa_mask = set };
		CHECK(sigaction(SIGRTMIN + i, &action, NULL) == 0);
	}
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	for (int i = 0; i < 3; i++) for (int number = 3; number >= 0; number--) {
		value.sival_int = 10 * number + i;
		CHECK(sigqueue(getpid(), SIGRTMIN + number, value) == 0);
	}
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigset_t pending;
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN + 3) && sigismember(&pending, SIGUSR1));
	/* sigwaitinfo takes the lowest number, and of that the first; the ordinary one is there once. */
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 0);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 1);
	count = 0;
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	CHECK(count == 10);
	for (int i = 0; i < count; i++) printf("%d%s", order[i], i + 1 < count ? " " : "\n");

	/* The queue has an end. */
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	int queued = 0;
	while (sigqueue(getpid(), SIGRTMIN, value) == 0) queued++;
	CHECK(errno == EAGAIN && queued >= 32);
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0) queued--;
	CHECK(queued == 0);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	puts("in order");
}

static pthread_t main_thread;
static void *send(void *unused)
{
	pthread_kill(main_thread, SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 9 });
	return NULL;
}

static void by_descriptor(void)
{
	sigset_t set, old;
	struct signalfd_siginfo info[4];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_ERROR(read(fd, info, sizeof info), EAGAIN);
	CHECK_ERROR(read(fd, info, sizeof *info - 1), EINVAL);
	pthread_t thread;
	main_thread = pthread_self();
	CHECK(pthread_create(&thread, NULL, send, NULL) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(read(fd, info, sizeof info) == 2 * sizeof *info);
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_TKILL && info[0].ssi_pid == (unsigned)getpid());
	CHECK(info[1].ssi_signo == (unsigned)SIGRTMIN && info[1].ssi_code == SI_QUEUE && info[1].ssi_int == 9);
	/* Blocking; and what it is told to look for can change. */
	CHECK(fcntl(fd, F_SETFL, 0) == 0 && sigdelset(&set, SIGUSR1) == 0 && signalfd(fd, &set, 0) == fd);
	pid_t self = getpid(), child = fork();
	if (child == 0) {
		kill(self, SIGUSR1);
		_exit(sigqueue(self, SIGRTMIN, (union sigval){ .sival_int = 10 }));
	}
	CHECK(read(fd, info, sizeof info) == sizeof *info && info[0].ssi_int == 10 && info[0].ssi_pid == (unsigned)child);
	CHECK(ended(child) == 0);
	CHECK(sigaddset(&set, SIGUSR1) == 0 && sigtimedwait(&set, NULL, &(struct timespec){ 0 }) == SIGUSR1);
	close(fd);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	puts("signalfd");
}

int main(void)
{
	sent();
	by_the_kernel();
	of_children();
	in_order();
	by_descriptor();
	return failures != 0;
}
