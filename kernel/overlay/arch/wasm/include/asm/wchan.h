/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_WCHAN_H
#define _ASM_WASM_WCHAN_H

#include <linux/types.h>

struct task_struct;

/*
 * Writes the name of the function in which @task sleeps to @name, at most @size
 * bytes. Returns false if @task has no worker of its own (as kernel threads),
 * does not sleep, or was woken meanwhile. May itself sleep.
 */
bool arch_wait_channel(struct task_struct *task, char *name, size_t size);

#endif /* _ASM_WASM_WCHAN_H */
