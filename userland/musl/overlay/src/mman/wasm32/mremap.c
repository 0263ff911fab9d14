// SPDX-License-Identifier: MIT
// Upstream's mremap(). It notes that shared memory is still shared at its new
// place, so that atomic operations on it stay system calls.
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "atomic.h"
#include "syscall.h"

static long remap(void *start, size_t length, size_t new_length, int flags, void *new_start)
{
	void *result = (void *)syscall(SYS_mremap, start, length, new_length, flags, new_start);
	if (result != MAP_FAILED && __is_shared(start))
		__note_shared(result, new_length);
	return (long)result;
}

/* Upstream's mremap() makes one system call, which this replaces. */
#undef syscall
#define syscall(number, ...) remap(__VA_ARGS__)

#include "../mremap.c"
