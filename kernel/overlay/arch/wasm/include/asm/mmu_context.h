/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_MMU_CONTEXT_H
#define _ASM_WASM_MMU_CONTEXT_H

#include <linux/mm_types.h>
#include <asm-generic/mm_hooks.h>

struct task_struct;

int init_new_context(struct task_struct *task, struct mm_struct *mm);
#define init_new_context init_new_context

void destroy_context(struct mm_struct *mm);
#define destroy_context destroy_context

/* Makes @new the mm of the current task at exec. It may take over @old's U. */
void activate_mm(struct mm_struct *old, struct mm_struct *new);
#define activate_mm activate_mm

/* @task leaves @mm, by exec or exit. */
void deactivate_mm(struct task_struct *task, struct mm_struct *mm);
#define deactivate_mm deactivate_mm

/* Binds the U that a kernel thread borrows by kthread_use_mm(). */
void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *task);

#include <asm-generic/mmu_context.h>

#endif /* _ASM_WASM_MMU_CONTEXT_H */
