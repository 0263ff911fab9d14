/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_PTRACE_H
#define _ASM_WASM_PTRACE_H

#include <uapi/asm/host.h>
#include <uapi/asm/ptrace.h>

#ifndef __ASSEMBLY__

#define WASM_NO_SYSCALL	AUKLET_NO_SYSTEM_CALL

/* A wasm program has no registers. Its last system call stands for them. */
struct pt_regs {
	u32 syscall_nr;		/* WASM_NO_SYSCALL after a trap or interrupt */
	u32 args[6];
	s32 result;
	u32 user;		/* the interrupted context ran user code */
	/* The program trapped: the next signal interrupts no system call. */
	u32 trap;
	u32 reserved[6];
};

#define user_mode(regs)			((regs)->user)
#define instruction_pointer(regs)	0UL
#define profile_pc(regs)		0UL
#define user_stack_pointer(regs)	0UL
/*
 * Only sigaltstack() asks for it. The program passes it as a third argument:
 * docs/abi-programs.md, "Signals".
 */
#define current_user_stack_pointer()	((unsigned long)current_pt_regs()->args[2])
#define frame_pointer(regs)		0UL

static inline long regs_return_value(struct pt_regs *regs)
{
	return regs->result;
}

static inline void instruction_pointer_set(struct pt_regs *regs, unsigned long value)
{
}

#endif /* __ASSEMBLY__ */
#endif /* _ASM_WASM_PTRACE_H */
