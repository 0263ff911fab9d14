// SPDX-License-Identifier: MIT
// mmap() of upstream, which notes what is shared: atomic operations on it are system calls.
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

/* Where upstream gives the result of the call back. */
#define __syscall_ret(ret) noted(ret, len, flags)

#include "../mmap.c"
