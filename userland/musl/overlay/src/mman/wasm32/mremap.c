// SPDX-License-Identifier: MIT
// mremap() of upstream, which notes that what was shared still is: atomic operations on it are
// system calls.
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

/* The only call of upstream. */
#undef syscall
#define syscall(number, ...) remap(__VA_ARGS__)

#include "../mremap.c"
