// SPDX-License-Identifier: MIT
// -fsafepoints with fork and longjmp: stopping and continuing a child that makes no system calls, fork and siglongjmp
// from a handler that interrupted a loop.
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static sigjmp_buf environment;
static volatile sig_atomic_t caught;
static int child_status = -1;

static void leave(int signal)
{
	siglongjmp(environment, signal);
}

static void fork_here(int signal)
{
	pid_t child = fork();
	if (child == 0) _exit(21);
	waitpid(child, &child_status, 0);
	caught = 1;
}

static void after(int milliseconds)
{
	struct itimerval timer = { .it_value.tv_usec = milliseconds * 1000 };
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* Not in a function that calls sigsetjmp: docs/abi-programs.md, "Safepoints". */
__attribute__((noinline)) static void spin(void)
{
	for (;;);
}

__attribute__((noinline)) static void wait_until_caught(void)
{
	while (!caught);
}

int main(void)
{
	int ends[2], status;
	char ready;

	signal(SIGALRM, leave);
	if (!sigsetjmp(environment, 1)) {
		after(20);
		spin();
	}
	puts("siglongjmp out of a loop");

	signal(SIGALRM, fork_here);
	after(20);
	wait_until_caught();
	CHECK(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 21);
	puts("fork from a handler in a loop");

	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGTERM, leave);
		if (sigsetjmp(environment, 1)) _exit(22);
		write(ends[1], "", 1);
		spin();
	}
	CHECK(read(ends[0], &ready, 1) == 1);
	CHECK(kill(child, SIGSTOP) == 0);
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGTERM) == 0 && waitpid(child, &status, WNOHANG) == 0);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 22);
	puts("stopped, continued, terminated by its handler");
	puts("safepoints-fork done");
	return failures != 0;
}
