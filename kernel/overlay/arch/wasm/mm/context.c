// SPDX-License-Identifier: GPL-2.0-only
/* The user memory (U) of an mm: which one, since when, and who may use it. */
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "internal.h"

/* Whether a task of another process executes in the current one's U. Who only looks into it does not count. */
static bool other_process_uses(struct mm_struct *mm)
{
	struct task_struct *process, *task;
	bool uses = false;

	if (atomic_read(&mm->mm_users) == 1)
		return false;
	rcu_read_lock();
	for_each_process_thread(process, task)
		uses |= READ_ONCE(task->mm) == mm && !same_thread_group(task, current) &&
			!(task->flags & PF_KTHREAD);
	rcu_read_unlock();
	return uses;
}

/*
 * For exec this decides where the new program's U comes from, while an error can still be
 * returned. A process that has its U for itself keeps it (activate_mm), but for a large one. If it has other threads, another U is better:
 * workers that executed them may go on for a while, and would have to be waited for. For fork,
 * copy_thread() takes one.
 */
int init_new_context(struct task_struct *task, struct mm_struct *mm)
{
	bool own;
	int id;

	memset(&mm->context, 0, sizeof(mm->context));
	mm->context.memory = AUKLET_NO_MEMORY;
	wasm_init_access(mm);
	if (task != current || !get_wasm_worker())
		return 0;
	if (current->thread.exec_memory != AUKLET_NO_MEMORY) {
		mm->context.memory = current->thread.exec_memory;
		current->thread.exec_memory = AUKLET_NO_MEMORY;
		return 0;
	}
	own = current->mm && current->mm->context.memory != AUKLET_NO_MEMORY &&
	      !other_process_uses(current->mm);
	if (own && get_nr_threads(current) == 1) {
		id = wasm_memory_take_small(current->mm->context.memory);
		if (id >= 0)
			mm->context.memory = id;
		return 0;
	}
	id = wasm_memory_take_known();
	if (id < 0)
		return own ? 0 : id;
	mm->context.memory = id;
	return 0;
}

static void release_memory(struct mm_struct *mm)
{
	if (mm->context.memory != AUKLET_NO_MEMORY)
		wasm_memory_put(mm->context.memory);
	mm->context.memory = AUKLET_NO_MEMORY;
}

void destroy_context(struct mm_struct *mm)
{
	release_memory(mm);
	wasm_free_access(mm);
}

void activate_mm(struct mm_struct *old, struct mm_struct *new)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	/* A thread that is dead by now may have made another process meanwhile; then exec has failed. */
	if (new->context.memory == AUKLET_NO_MEMORY && !other_process_uses(old)) {
		new->context.memory = old->context.memory;
		old->context.memory = AUKLET_NO_MEMORY;
		wasm_forget_safepoint(new->context.memory);
	}
	worker->memory = new->context.memory;
	/* The worker knows it, so this cannot fail. */
	WARN_ON(engine_bind_memory(new->context.memory));
}

/* exec: before the U that the process keeps is cleared, workers of its killed threads must be gone from it. */
int wasm_wait_for_own_memory(struct mm_struct *mm)
{
	if (mm->context.memory == AUKLET_NO_MEMORY)
		return -ENOMEM;
	return wasm_memory_wait_until_own(mm->context.memory);
}

/*
 * What the program has written to shared mappings of files is in U only. At exit, exit_mmap() is early enough, but a thread or a child
 * of vfork leaves the mm to others, and who learns of its end may look at what it stored. At exec another U is bound by then, or this one is
 * the new program's. For who shares another process's U that process will do it.
 */
void deactivate_mm(struct task_struct *task, struct mm_struct *mm)
{
	/* A kernel thread that executes a program has none. */
	if (!mm || task != current || mm->context.memory == AUKLET_NO_MEMORY)
		return;
	if (task->flags & PF_EXITING || task->vfork_done) {
		if (mm->context.shared_areas)
			wasm_publish_areas(mm);
		return;
	}
	wasm_write_back_areas(mm);
	if (!other_process_uses(mm))
		wasm_unlink_areas(mm);
}

void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *task)
{
	/*
	 * In a context switch @task runs in another worker, which has its U bound. Only
	 * kthread_use_mm() comes here for the current task.
	 */
	if (task == current && (task->flags & PF_KTHREAD) && next != &init_mm)
		engine_bind_memory(next->context.memory);
}
