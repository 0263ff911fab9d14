/* SPDX-License-Identifier: MIT */
#define _POSIX_V6_ILP32_OFFBIG 1
#define _POSIX_V7_ILP32_OFFBIG 1

#if defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
/*
 * unistd.h has declared syscall(). clone and clone3 by their numbers return twice,
 * for which the caller must be compiled: docs/abi-programs.md, "fork". syscall() cannot do
 * that for every number, or each program that calls it would have to be able to
 * unwind.
 */
#ifdef __cplusplus
extern "C++"
#endif
long syscall(long __number, ...) __attribute__((__overloadable__,
	__enable_if__(__number == 220 || __number == 435, "returns twice"))) __asm__("__syscall_fork");
#endif
