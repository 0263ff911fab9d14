// SPDX-License-Identifier: MIT
// setjmp and longjmp, alone, nested, with signal masks, and across fork.
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static jmp_buf outer, inner;
static sigjmp_buf with_mask;

static void descend(int depth, int value)
{
	volatile char space[64];
	space[depth % 64] = 1;
	if (depth == 0) longjmp(outer, value);
	descend(depth - 1, value);
	space[0]++;
}

static void nested(int depth)
{
	jmp_buf own;
	if (setjmp(own) == 0) {
		if (depth == 0) longjmp(inner, 3);	/* passes all the frames with a setjmp of their own */
		nested(depth - 1);
	} else {
		puts("a jump to the wrong frame");
	}
}

static void handler(int number) { siglongjmp(with_mask, number); }

static int in_deep(int depth)
{
	if (depth) return in_deep(depth - 1) + 1;
	pid_t child = fork();
	if (child == 0) longjmp(outer, 77);
	int status;
	return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 1000;
}

int main(void)
{
	volatile int count = 0;
	int r = setjmp(outer);
	count++;
	if (r < 5) descend(40, r + 1);
	printf("%d jumps, last value %d\n", count - 1, r);

	if ((r = setjmp(outer)) == 0) longjmp(outer, 0);
	printf("zero becomes %d\n", r);

	if ((r = setjmp(inner)) == 0) nested(20);
	printf("through twenty frames: %d\n", r);

	void (*volatile jump)(jmp_buf, int) = (void (*)(jmp_buf, int))longjmp;
	if ((r = _setjmp(outer)) == 0) jump(outer, 8);
	printf("by pointer: %d\n", r);

	sigset_t mask;
	signal(SIGUSR1, handler);
	if ((r = sigsetjmp(with_mask, 1)) == 0) raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("out of a handler: %d, blocked %d\n", r == SIGUSR1, sigismember(&mask, SIGUSR1));
	if ((r = sigsetjmp(with_mask, 0)) == 0) raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("without the mask: %d, blocked %d\n", r == SIGUSR1, sigismember(&mask, SIGUSR1));

	/* the child jumps over frames that it only has by rewinding */
	fflush(stdout);
	if ((r = setjmp(outer)) == 77) _exit(42);
	printf("fork, then jump: %d\n", in_deep(30));

	/* the buffer was filled before fork: both may use it */
	fflush(stdout);
	volatile pid_t child = -1;
	if ((r = setjmp(outer)) == 0) {
		child = fork();
		longjmp(outer, child == 0 ? 1 : 2);
	}
	if (r == 1) _exit(11);
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	printf("setjmp, fork, both jump: %d %d\n", r, WEXITSTATUS(status));
	return failures != 0;
}
