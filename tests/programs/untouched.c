// SPDX-License-Identifier: MIT
// Takes memory in each way in which it can be taken, and touches little of it; and all of it is zero where it is new, also where something
// was before.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define MIB (1024UL * 1024)
#define SIZE (96 * MIB)

static int is_zero(const unsigned char *start, size_t size)
{
	for (size_t i = 0; i < size; i += 512)
		if (start[i]) return 0;
	return 1;
}

static unsigned char *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

int main(void)
{
	/* Where something was: the second begins in what the first had, and goes on behind it. */
	unsigned char *first = map(2 * MIB);
	memset(first, 1, 2 * MIB);
	CHECK(munmap(first, 2 * MIB) == 0);
	unsigned char *second = map(SIZE);
	CHECK(is_zero(second, 4 * MIB));
	CHECK(is_zero(second + SIZE - MIB, MIB));

	/* Longer in place or elsewhere, with what was there. */
	second[5] = 7;
	unsigned char *longer = mremap(second, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
	CHECK(longer != MAP_FAILED && longer[5] == 7);
	CHECK(is_zero(longer + SIZE, MIB) && is_zero(longer + 2 * SIZE - MIB, MIB));

	/* At a place of its own, over the end of what is mapped. */
	unsigned char *end = longer + 2 * SIZE - MIB;
	memset(end, 1, MIB);
	void *fixed = mmap(end, 3 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(fixed == end && is_zero(end, 3 * MIB));

	/* The break: shorter and longer again. musl's sbrk() moves nothing. */
	uintptr_t old = syscall(SYS_brk, 0);
	CHECK((uintptr_t)syscall(SYS_brk, old + 65536) == old + 65536);
	memset((void *)old, 1, 65536);
	CHECK((uintptr_t)syscall(SYS_brk, old) == old);
	CHECK((uintptr_t)syscall(SYS_brk, old + 65536) == old + 65536 && is_zero((void *)old, 65536));

	/* For tests/boot/processes.test.mjs. */
	if (getenv("WAIT")) {
		puts("taken");
		fflush(stdout);
		getchar();
	}
	/* A child that maps where its parent has something, and where nobody had. */
	pid_t child = fork();
	if (child == 0) _exit(!is_zero(map(SIZE), MIB));
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);

	puts("untouched");
	return failures != 0;
}
