// SPDX-License-Identifier: MIT
// Safepoints of programs that are linked with -fsafepoints
// (docs/abi-programs.md): userland/sdk/safepoints.py adds the polls and the
// calls. Nothing here may poll, so it calls nothing but the system call stub.
#include "syscall.h"

volatile int __safepoint_word;

static void tell_kernel(void)
{
	__wasm_syscall(SYS_wasm_safepoint, (long)&__safepoint_word, 0, 0, 0, 0, 0);
}

/* Signals of this thread are handled in the system call. The order: cleared later, a request that comes meanwhile would be lost. */
void __safepoint(void)
{
	__safepoint_word = 0;
	tell_kernel();
}

__attribute__((__constructor__)) static void start(void)
{
	tell_kernel();
}
