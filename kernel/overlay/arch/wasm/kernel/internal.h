/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that only files of this folder call. */
#ifndef _WASM_KERNEL_INTERNAL_H
#define _WASM_KERNEL_INTERNAL_H

#include <linux/types.h>
#include <asm/machine.h>

struct file;
struct pt_regs;
struct stop;

/* entry.c: the ways in and out, for what is no system call. */
void wasm_enter_kernel(void);
s64 wasm_return_to_user(struct pt_regs *regs, bool can_run_handler);

/* program.c */
#define WASM_PAGE	65536UL

struct wasm_program {
	int module;		/* its number */
	u32 pages;		/* WASM_PAGE each: its static memory */
	struct main_stack stack;
};

const struct wasm_program *wasm_find_program(struct file *file);

/* short_stop.c */
unsigned int wasm_busy_cpus(void);
void wasm_begin_stop(struct stop *stop);
void wasm_end_stop(struct stop *stop);
bool wasm_poll_word(struct stop *stop, const u32 *word, const u32 *pending);
void wasm_end_wait(struct auklet_cpu *cpu);

/* stacktrace.c */
void wasm_note_sleep(const struct auklet_worker *worker);
void wasm_answer_trace_request(const struct auklet_worker *worker);

#endif /* _WASM_KERNEL_INTERNAL_H */
