/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What a tracer sees of a task. Nobody can read the registers of a wasm
 * program, so the task's last system call stands for them. PTRACE_GETREGSET and
 * PTRACE_SETREGSET with NT_PRSTATUS get and set it.
 *
 * In the stop before a call, the tracer may set the call that is made. With the
 * number ~0 none is made, and @result is the result. In the stop after a call,
 * the tracer may set the result that the program gets.
 */
#ifndef _UAPI_ASM_WASM_PTRACE_H
#define _UAPI_ASM_WASM_PTRACE_H

#include <linux/types.h>

/*
 * SYSEMU stops the task before each system call. The call is not made: the
 * tracer sets the result. SYSEMU_SINGLESTEP fails with EIO, as
 * PTRACE_SINGLESTEP does.
 */
#define PTRACE_SYSEMU			31
#define PTRACE_SYSEMU_SINGLESTEP	32

struct user_regs_struct {
	/* ~0 if the program has made no call yet, or has trapped since. */
	__u32 syscall_nr;
	__u32 args[6];
	/* -errno for an error; -ENOSYS in the stop before the call. */
	__s32 result;
	/*
	 * Its value at the last fork, or 0 before one: the kernel cannot see it
	 * at other times.
	 */
	__u32 stack_pointer;
	__u32 reserved[7];
};

#endif /* _UAPI_ASM_WASM_PTRACE_H */
