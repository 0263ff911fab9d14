// SPDX-License-Identifier: MIT
// Signal handlers: delivery, siginfo, masks, restart, alternate stack, nesting.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t caught, depth, deepest, on_alternate, value;
static volatile pid_t sender;
static char alternate[65536];

static void count(int number) { caught++; }

static void with_info(int number, siginfo_t *info, void *context)
{
	caught++;
	value = info->si_code == SI_QUEUE ? info->si_value.sival_int : info->si_code;
	sender = info->si_pid;
	sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
	if (sigismember(mask, number)) value = -1;	/* it is blocked now, not where we came from */
}

static void nest(int number)
{
	if (++depth > deepest) deepest = depth;
	if (number < SIGRTMIN + 4) raise(number + 1);
	depth--;
}

static void look_at_stack(int number)
{
	char here;
	on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
	stack_t stack;
	sigaltstack(NULL, &stack);
	if (!(stack.ss_flags & SS_ONSTACK)) on_alternate = -1;
}

static int fork_result;
static void fork_here(int number)
{
	pid_t child = fork();
	if (child == 0) _exit(21);
	int status;
	waitpid(child, &status, 0);
	fork_result = WEXITSTATUS(status);
}

static void install(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	CHECK(sigaction(number, &action, NULL) == 0);
}

/* A child sends the signal when this process sleeps and, when it does so again, a byte. */
static pid_t later(int number, int fd)
{
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		wait_until_asleep(parent);
		kill(parent, number);
		wait_until_asleep(parent);
		write(fd, "x", 1);
		_exit(0);
	}
	return child;
}

int main(void)
{
	install(SIGUSR1, count, 0);
	CHECK(raise(SIGUSR1) == 0 && caught == 1);
	CHECK(kill(getpid(), SIGUSR1) == 0 && caught == 2);
	puts("raise, kill");

	sigset_t set, old, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(caught == 2 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && caught == 3);
	puts("blocked, pending");

	struct sigaction info = { .sa_sigaction = with_info, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGUSR2, &info, NULL) == 0);
	caught = 0;
	CHECK(sigqueue(getpid(), SIGUSR2, (union sigval){ .sival_int = 1234 }) == 0);
	CHECK(caught == 1 && value == 1234 && sender == getpid());
	CHECK(kill(getpid(), SIGUSR2) == 0 && value == SI_USER);
	CHECK(raise(SIGUSR2) == 0 && value == SI_TKILL);
	puts("siginfo");

	/* real-time signals queue */
	caught = 0;
	install(SIGRTMIN, count, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < 5; i++) raise(SIGRTMIN);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(caught == 5);
	for (int i = 0; i <= 4; i++) install(SIGRTMIN + i, nest, 0);
	raise(SIGRTMIN);
	CHECK(deepest == 5 && depth == 0);
	puts("queued, nested");

	install(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);

	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
	CHECK(sigaltstack(&stack, NULL) == 0);
	install(SIGUSR1, look_at_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(on_alternate == 1);
	install(SIGUSR1, fork_here, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(fork_result == 21);
	puts("alternate stack");

	/* a slow call: EINTR without SA_RESTART, finished later with it */
	int ends[2], status;
	char c;
	CHECK(pipe(ends) == 0);
	caught = 0;
	install(SIGUSR1, count, 0);
	pid_t child = later(SIGUSR1, ends[1]);
	CHECK_ERROR(read(ends[0], &c, 1), EINTR);
	CHECK(caught == 1 && read(ends[0], &c, 1) == 1 && waitpid(child, &status, 0) == child);
	install(SIGUSR1, count, SA_RESTART);
	child = later(SIGUSR1, ends[1]);
	CHECK(read(ends[0], &c, 1) == 1 && caught == 2);
	CHECK(waitpid(child, &status, 0) == child);
	puts("interrupted, restarted");

	install(SIGALRM, count, 0);
	caught = 0;
	/* Blocked meanwhile: on a busy machine it may come at once. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &old);
	alarm(1);
	CHECK_ERROR(sigsuspend(&old), EINTR);
	CHECK(caught == 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	struct itimerval timer = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 };
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	while (caught < 4) pause();
	struct timespec long_time = { 60, 0 }, rest;
	CHECK(nanosleep(&long_time, &rest) == -1 && errno == EINTR);
	timer = (struct itimerval){ 0 };
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	/* How late a busy machine is nobody knows. */
	CHECK(rest.tv_sec > 0 && rest.tv_sec < 60);
	puts("alarm, timer, nanosleep");

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	int number;
	CHECK(sigwait(&set, &number) == 0 && number == SIGUSR1);
	struct timespec short_time = { 0, 1000000 };
	CHECK_ERROR(sigtimedwait(&set, NULL, &short_time), EAGAIN);
	caught = 0;
	child = later(SIGUSR1, ends[1]);
	CHECK_ERROR(sigsuspend(&old), EINTR);
	CHECK(caught == 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	waitpid(child, &status, 0);
	puts("sigwait, sigsuspend");

	/* handlers and pending signals after fork */
	caught = 0;
	child = fork();
	if (child == 0) {
		raise(SIGUSR1);
		_exit(caught);
	}
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1 && caught == 0);

	CHECK_ERROR(sigaction(SIGKILL, &info, NULL), EINVAL);
	CHECK_ERROR(kill(getpid(), 200), EINVAL);
	CHECK_ERROR(kill(999999, 0), ESRCH);
	puts("signals done");
	return failures != 0;
}
