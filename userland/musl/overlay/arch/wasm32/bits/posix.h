/* SPDX-License-Identifier: MIT */
#define _POSIX_V6_ILP32_OFFBIG 1
#define _POSIX_V7_ILP32_OFFBIG 1

#if defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
/*
 * unistd.h has declared syscall() for all numbers. This overload takes the
 * calls whose number is a constant 220 (clone) or 435 (clone3). They return
 * twice, so their caller must be able to unwind (docs/abi-programs.md, "fork").
 * Were there no overload, every program that calls syscall() would have to be.
 */
#ifdef __cplusplus
extern "C++"
#endif
long syscall(long __number, ...) __attribute__((__overloadable__,
	__enable_if__(__number == 220 || __number == 435, "returns twice"))) __asm__("__syscall_fork");
#endif
