/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What the kernel saves while a signal handler runs; docs/abi-programs.md, "Signals". */
#ifndef _UAPI_ASM_WASM_SIGCONTEXT_H
#define _UAPI_ASM_WASM_SIGCONTEXT_H

#include <linux/types.h>

/* The interrupted system call. */
struct sigcontext {
	__u32 syscall_nr;
	__u32 args[6];
	__s32 result;
	__u32 restart;		/* 1: rt_sigreturn calls it again; 2: none, the program trapped */
	__u32 stack_pointer;
	__u32 reserved[7];	/* uc_sigmask, which follows, is aligned to 8 in rt_sigframe */
};

#endif /* _UAPI_ASM_WASM_SIGCONTEXT_H */
