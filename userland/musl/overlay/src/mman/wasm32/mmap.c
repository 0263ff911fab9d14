// SPDX-License-Identifier: MIT
// Upstream's mmap(). It notes memory that is shared, so that atomic operations
// on it become system calls.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "atomic.h"
#include "syscall.h"

static long noted(long ret, size_t length, int flags)
{
	if ((flags & MAP_SHARED) && (unsigned long)ret <= -4096UL)
		__note_shared((void *)ret, length);
	return __syscall_ret(ret);
}

/* Upstream's mmap() returns the result of its system call through this. */
#define __syscall_ret(ret) noted(ret, len, flags)

#include "../mmap.c"
