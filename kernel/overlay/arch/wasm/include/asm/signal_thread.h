/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SIGNAL_THREAD_H
#define _ASM_WASM_SIGNAL_THREAD_H

#include <linux/types.h>

struct ksignal;

/*
 * A signal that was taken from the queue, and the system call that it has
 * interrupted. Both wait here until the program's system call stub asks for the
 * signal by wasm_signal_frame().
 */
struct signal_thread {
	struct ksignal *taken;
	u32 syscall_nr;
	u32 args[6];
	s32 result;
	bool trap;	/* the program trapped: no call was interrupted */
	bool restart;	/* dispatch the call in pt_regs again */
};

#endif /* _ASM_WASM_SIGNAL_THREAD_H */
