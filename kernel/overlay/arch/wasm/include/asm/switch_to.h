/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SWITCH_TO_H
#define _ASM_WASM_SWITCH_TO_H

struct task_struct;

/*
 * Hands the CPU from @prev to @next. Returns when @prev has a CPU again, with
 * the task that had it before.
 */
struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next);

#define switch_to(prev, next, last)	((last) = __switch_to((prev), (next)))

#endif /* _ASM_WASM_SWITCH_TO_H */
