// SPDX-License-Identifier: MIT
// The safepoints of programs that are linked with -fsafepoints
// (docs/abi-programs.md). userland/sdk/safepoints.py adds polls of the word,
// and calls of __safepoint(), to the program. The functions here must not poll,
// so they call nothing but the system call stub.
#include "syscall.h"

volatile int __safepoint_word;

static void tell_kernel(void)
{
	__wasm_syscall(SYS_wasm_safepoint, (long)&__safepoint_word, 0, 0, 0, 0, 0);
}

/*
 * The system call handles the signals of this thread. The word is cleared
 * before it, or else a request that comes during the call would be lost.
 */
void __safepoint(void)
{
	__safepoint_word = 0;
	tell_kernel();
}

__attribute__((__constructor__)) static void start(void)
{
	tell_kernel();
}
