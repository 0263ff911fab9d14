// SPDX-License-Identifier: MIT
// sigaltstack(). It tells the kernel the stack pointer, which the kernel cannot
// see (docs/abi-programs.md): the alternate stack is in use if that points into
// it.
#include <signal.h>
#include <errno.h>
#include <stdint.h>
#include "syscall.h"

__asm__(".globaltype __stack_pointer, i32\n");

int sigaltstack(const stack_t *restrict ss, stack_t *restrict old)
{
	if (ss) {
		if (!(ss->ss_flags & SS_DISABLE) && ss->ss_size < MINSIGSTKSZ) {
			errno = ENOMEM;
			return -1;
		}
		if (ss->ss_flags & SS_ONSTACK) {
			errno = EINVAL;
			return -1;
		}
	}
	uintptr_t sp;
	__asm__ volatile ("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
	return syscall(SYS_sigaltstack, ss, old, sp);
}
