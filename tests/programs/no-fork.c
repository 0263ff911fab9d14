// SPDX-License-Identifier: MIT
// -fno-fork-in: fork works everywhere else, and where it was promised not to come it ends the process.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int twice(int n)
{
	return 2 * n;
}

/* 0 in the child. */
static int fork_and_wait(int n)
{
	int status;
	pid_t child = fork();

	if (child == 0) return 0;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == n);
	return n;
}

__attribute__((noinline)) int promised(int (*function)(int), int n)
{
	return function(n) + 1;
}

__attribute__((noinline)) int free_to_fork(int (*function)(int), int n)
{
	return function(n) + 1;
}

int main(void)
{
	int (*volatile function)(int) = twice;
	int status;
	pid_t child;

	CHECK(promised(function, 3) == 7);
	CHECK(free_to_fork(function, 3) == 7);
	function = fork_and_wait;
	/* The child comes back here too, through the same frames. */
	switch (free_to_fork(function, 5)) {
	case 1:
		_exit(5);
	case 6:
		break;
	default:
		CHECK(0);
	}
	child = fork();
	if (child == 0) {
		promised(function, 1);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
	puts("kept");
	return failures != 0;
}
