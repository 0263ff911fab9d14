// SPDX-License-Identifier: MIT
// The main stack: 8 MiB, as far as RLIMIT_STACK allows, zero where it was never used, whole in the child of a fork; and a process sees nothing of
// what another has left there.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "check.h"

#define MIB (1024 * 1024)
#define PATTERN 0x5a

static char *program;

/* In large frames, so that the engine's own stack is none of the matter. */
__attribute__((noinline)) static unsigned long fill(int depth)
{
	volatile unsigned char frame[MIB / 4];
	unsigned long sum = 0;

	/* A stack that becomes longer is zero. At its top something was before. */
	for (unsigned i = 0; (uintptr_t)frame < 6 * MIB && i < sizeof frame; i += 64) sum += frame[i];
	memset((void *)frame, PATTERN, sizeof frame);
	if (depth) sum += fill(depth - 1);
	for (unsigned i = 0; i < sizeof frame; i += 64) sum += frame[i] != PATTERN;
	return sum;
}

/* Forks at the lowest depth; the child's frames are the parent's. */
__attribute__((noinline)) static int fork_deep(int depth)
{
	volatile unsigned char frame[MIB / 4];
	int status = 0;

	memset((void *)frame, depth, sizeof frame);
	if (depth) {
		status = fork_deep(depth - 1);
	} else {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child) {
			CHECK(waitpid(child, &status, 0) == child);
		} else {
			status = -1;
		}
	}
	for (unsigned i = 0; i < sizeof frame; i++)
		if (frame[i] != depth) return 1000;
	return status;
}

static int status_of(void (*function)(void))
{
	int status = -1;
	pid_t child = fork();
	if (!child) {
		function();
		fflush(stdout);
		_exit(failures);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static void overflow(void) { fill(40); }
static void limited(void)
{
	CHECK(setrlimit(RLIMIT_STACK, &(struct rlimit){ 3 * MIB, RLIM_INFINITY }) == 0);
	CHECK(fill(8) == 0);
	fflush(stdout);
	if (failures) _exit(1);
	fill(16);
}

/* Writes to the part of the stack that it says not to use. */
static void leave_something(void) { memset((void *)MIB, PATTERN, 4 * MIB); }
static void find_nothing(void) { CHECK(fill(24) == 0); }
static void execute(void) { execl(program, program, "fill", NULL); }

static void *thread(void *result)
{
	CHECK(status_of(execute) == 0);
	return result;
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;
	pthread_t other;
	void *stack;
	size_t size = 0;

	program = argv[0];
	if (argc > 1) return fill(24) != 0;
	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0 && pthread_attr_getstack(&attributes, &stack, &size) == 0);
	CHECK(size == 8 * MIB);

	/* Children first: what they use of the stack this process has not. */
	for (int k = 0; k < 3; k++) {
		CHECK(status_of(find_nothing) == 0);
		CHECK(status_of(leave_something) == 0);
		CHECK(status_of(execute) == 0);
	}
	/* What has grown already stays. */
	CHECK(WTERMSIG(status_of(limited)) == SIGSEGV);
	CHECK(fill(12) == 0);
	CHECK(status_of(execute) == 0);
	int status = fork_deep(20);
	if (status == -1) _exit(7);
	CHECK(status == 7 << 8);
	CHECK(WTERMSIG(status_of(overflow)) == SIGSEGV);
	CHECK(pthread_create(&other, NULL, thread, NULL) == 0 && pthread_join(other, NULL) == 0);
	puts("8 MiB");
	return failures != 0;
}
