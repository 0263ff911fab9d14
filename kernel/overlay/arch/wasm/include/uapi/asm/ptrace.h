/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What a tracer sees of a task: a system call; wasm has no registers. */
#ifndef _UAPI_ASM_WASM_PTRACE_H
#define _UAPI_ASM_WASM_PTRACE_H

#include <linux/types.h>

struct user_regs_struct {
	__u32 syscall_nr;	/* ~0 outside of a system call */
	__u32 args[6];
	__s32 result;
	__u32 stack_pointer;	/* as last told by the program */
	__u32 reserved[7];
};

#endif /* _UAPI_ASM_WASM_PTRACE_H */
