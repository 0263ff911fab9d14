/* SPDX-License-Identifier: MIT */
/*
 * clock_gettime(). It reads a clock without a system call where the kernel's
 * instance in the worker can (docs/abi-programs.md, "Clocks").
 */
#include <time.h>
#include "syscall.h"

__attribute__((__import_module__("linux"), __import_name__("clock")))
long long __wasm_clock(unsigned);

int __clock_gettime(clockid_t clock, struct timespec *time)
{
	long long nanoseconds = __wasm_clock(clock);

	if (nanoseconds < 0)
		return __syscall_ret(__syscall(SYS_clock_gettime, clock, time));
	time->tv_sec = nanoseconds / 1000000000;
	time->tv_nsec = nanoseconds % 1000000000;
	return 0;
}

weak_alias(__clock_gettime, clock_gettime);
