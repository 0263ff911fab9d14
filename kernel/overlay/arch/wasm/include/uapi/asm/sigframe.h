/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* The frame that wasm_signal_frame() fills in for the system call stub. */
#ifndef _UAPI_ASM_WASM_SIGFRAME_H
#define _UAPI_ASM_WASM_SIGFRAME_H

#include <linux/types.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>

/* The result of a system call that must run a handler before it returns. */
#define WASM_SIGNAL_PENDING	(-4094)

struct rt_sigframe {
	__u32 handler;		/* table index of the function to call */
	__u32 flags;		/* SA_* of the action */
	__u32 signo;
	__u32 stack;		/* top of the alternate stack to use, or 0 */
	siginfo_t info;
	struct ucontext uc;
};

#endif /* _UAPI_ASM_WASM_SIGFRAME_H */
