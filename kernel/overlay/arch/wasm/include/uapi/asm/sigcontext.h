/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What the kernel saves while a signal handler runs: docs/abi-programs.md,
 * "Signals".
 */
#ifndef _UAPI_ASM_WASM_SIGCONTEXT_H
#define _UAPI_ASM_WASM_SIGCONTEXT_H

#include <linux/types.h>

/* The interrupted system call. */
struct sigcontext {
	__u32 syscall_nr;
	__u32 args[6];
	__s32 result;
	/*
	 * 1: rt_sigreturn makes the call again. 2: no call was interrupted, the
	 * program trapped.
	 */
	__u32 restart;
	__u32 stack_pointer;
	/* An odd number: uc_sigmask follows, aligned to 8 in rt_sigframe. */
	__u32 reserved[7];
};

#endif /* _UAPI_ASM_WASM_SIGCONTEXT_H */
