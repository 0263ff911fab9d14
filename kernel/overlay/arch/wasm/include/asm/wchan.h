/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_WCHAN_H
#define _ASM_WASM_WCHAN_H

#include <linux/types.h>

struct task_struct;

/*
 * The function in which @task sleeps, as a string of at most @size bytes at @name. False: it has no worker of its own, as
 * threads of the kernel, does not sleep, or was woken meanwhile. May sleep itself.
 */
bool arch_wait_channel(struct task_struct *task, char *name, size_t size);

#endif /* _ASM_WASM_WCHAN_H */
