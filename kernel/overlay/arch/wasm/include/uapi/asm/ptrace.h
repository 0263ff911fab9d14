/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What a tracer sees of a task. A wasm program has no registers that anybody could read, so this is its last system call, as
 * PTRACE_GETREGSET and PTRACE_SETREGSET with NT_PRSTATUS give and take it. What is set in the stop before a call decides what is
 * called (number ~0: nothing, and @result is the result); what is set in the stop after it is what the program gets.
 */
#ifndef _UAPI_ASM_WASM_PTRACE_H
#define _UAPI_ASM_WASM_PTRACE_H

#include <linux/types.h>

/* Stops before each system call, which is not made: the tracer sets the result. */
#define PTRACE_SYSEMU			31
#define PTRACE_SYSEMU_SINGLESTEP	32	/* EIO, as PTRACE_SINGLESTEP is */

struct user_regs_struct {
	__u32 syscall_nr;	/* ~0: the program has not made one yet, or has trapped since */
	__u32 args[6];
	__s32 result;		/* or -errno; -ENOSYS in the stop before the call */
	__u32 stack_pointer;	/* where it was at the last fork, 0 before: the kernel cannot see it */
	__u32 reserved[7];
};

#endif /* _UAPI_ASM_WASM_PTRACE_H */
