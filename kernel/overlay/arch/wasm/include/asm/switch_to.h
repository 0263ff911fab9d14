/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SWITCH_TO_H
#define _ASM_WASM_SWITCH_TO_H

struct task_struct;

/* Hands the CPU from @prev to @next; returns in @prev when it has the CPU again, with who had it before. */
struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next);

#define switch_to(prev, next, last)		\
do {						\
	((last) = __switch_to((prev), (next)));	\
} while (0)

#endif /* _ASM_WASM_SWITCH_TO_H */
