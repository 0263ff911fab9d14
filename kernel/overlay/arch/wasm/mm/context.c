// SPDX-License-Identifier: GPL-2.0-only
/* The user memory (U) of an mm: which one it is, and who may use it when. */
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

/*
 * True if a task of another process executes in the U of @mm, which is the
 * current process's. A task that only looks into it does not count.
 */
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
 * At exec this decides where the new program's U comes from, while the system
 * call can still fail:
 *
 *  - A task for which a U was taken when it was made uses that.
 *  - A single-threaded process that has its U for itself keeps it, unless that
 *    is large and a small one is free. activate_mm() hands it over.
 *  - A process with more threads gets another U. The workers of its threads may
 *    go on for a while, and exec would have to wait for them. It keeps its own
 *    if no other is free.
 *  - A process that shares its U, as a child of vfork, must get another one.
 *
 * For fork this does nothing: copy_thread() takes a U.
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

	/*
	 * Another process may use the old U only now: a thread of this process
	 * has made it since, and has died. Then the new mm has no U, and exec
	 * fails.
	 */
	if (new->context.memory == AUKLET_NO_MEMORY && !other_process_uses(old)) {
		new->context.memory = old->context.memory;
		old->context.memory = AUKLET_NO_MEMORY;
		wasm_forget_safepoint(new->context.memory);
	}
	worker->memory = new->context.memory;
	/* This cannot fail: the worker knows that memory. */
	WARN_ON(engine_bind_memory(new->context.memory));
}

/*
 * At exec, the workers of killed threads must have left the U that the process
 * keeps, before it is cleared.
 */
int wasm_wait_for_own_memory(struct mm_struct *mm)
{
	if (mm->context.memory == AUKLET_NO_MEMORY)
		return -ENOMEM;
	return wasm_memory_wait_until_own(mm->context.memory);
}

/*
 * What the program has written to shared mappings of files is in U only, and
 * must reach the files.
 *
 * At exit, exit_mmap() would be early enough for the last task. But a thread or
 * a child of vfork leaves the mm to others. Whoever learns of its end may look
 * at what it stored, so that is published here.
 *
 * At exec, exit_mmap() would be too late: another U is bound by then, or this
 * one is the new program's. A task that shares the U of another process leaves
 * the mappings to that process.
 */
void deactivate_mm(struct task_struct *task, struct mm_struct *mm)
{
	/* A kernel thread that executes a program has no mm. */
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
	 * In a context switch, @task executes in another worker, which has its
	 * U bound. Only kthread_use_mm() calls this for the current task.
	 */
	if (task == current && (task->flags & PF_KTHREAD) && next != &init_mm)
		engine_bind_memory(next->context.memory);
}
