/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SIGNAL_THREAD_H
#define _ASM_WASM_SIGNAL_THREAD_H

#include <linux/types.h>

struct ksignal;

/*
 * A signal taken from the queue for which the program's system call stub has
 * not yet asked (wasm_signal_frame). The interrupted call waits with it.
 */
struct signal_thread {
	struct ksignal *taken;
	u32 syscall_nr;
	u32 args[6];
	s32 result;
	bool trap;	/* there is no such call: the program trapped */
	bool restart;	/* dispatch the call in pt_regs again */
};

#endif /* _ASM_WASM_SIGNAL_THREAD_H */
