// SPDX-License-Identifier: MIT
// A process that overwrites all the memory it can reach changes nothing outside it.
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static volatile unsigned canary[1024];

/* No library call and no stack below here: everything is overwritten. */
static void __attribute__((noinline)) overwrite_everything(void)
{
	uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * 65536;
	for (uintptr_t at = 0; at < end; at += 4) *(volatile unsigned *)at = 0xdeadbeef;
	/* and what lies beyond: a trap, and the end */
	for (uintptr_t at = end;; at += 4096) *(volatile unsigned *)at = 0xdeadbeef;
}

static unsigned long sum(void)
{
	unsigned long s = 0;
	for (unsigned i = 0; i < 1024; i++) s = s * 31 + canary[i];
	return s;
}

int main(void)
{
	for (unsigned i = 0; i < 1024; i++) canary[i] = i * 2654435761u;
	unsigned long before = sum();
	char *heap = malloc(1 << 20);
	memset(heap, 7, 1 << 20);

	/* a neighbour that goes on all the time */
	int ends[2], status;
	CHECK(pipe(ends) == 0);
	pid_t neighbour = fork();
	if (neighbour == 0) {
		char c;
		close(ends[1]);
		while (read(ends[0], &c, 1) == 1) if (sum() != before) _exit(1);
		_exit(sum() == before ? 23 : 1);
	}
	close(ends[0]);
	for (int i = 0; i < 5; i++) {
		pid_t child = fork();
		if (child == 0) overwrite_everything();
		CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		CHECK(write(ends[1], "x", 1) == 1);
		CHECK(sum() == before);
		for (int k = 0; k < 1 << 20; k += 4099) if (heap[k] != 7) CHECK(!"the heap is as it was");
	}
	close(ends[1]);
	CHECK(waitpid(neighbour, &status, 0) == neighbour && WIFEXITED(status) && WEXITSTATUS(status) == 23);

	/* memory that was someone's is zero when it is ours */
	pid_t child = fork();
	if (child == 0) {
		unsigned char *fresh = calloc(1, 24 << 20);
		unsigned found = fresh == NULL;
		for (size_t i = 0; fresh && i < (24 << 20); i++) found |= fresh[i];
		_exit(found ? 1 : 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	puts("isolation done");
	return failures != 0;
}
