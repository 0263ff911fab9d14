// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel threads without workers of their own, where the engine can suspend a
 * wasm stack (JSPI).
 *
 * A worker costs 10 to 20 ms and some megabytes, and a boot starts thirty
 * kernel threads. So kernel threads are coroutines of their CPU's own worker.
 * That worker executes one context at a time: that of the idle task, which
 * includes wasm_serve_own_cpu(), or one of the coroutines.
 *
 * A switch to a coroutine is an AUKLET_IRQ_SWITCH to the own worker, as a
 * switch to the idle task is. The idle task's context resumes the coroutine. It
 * goes on itself when the coroutine switches away:
 *
 *     idle task's context                  coroutine of task k
 *     wasm_serve_own_cpu(): switch to k
 *       wasm_resume_coroutine(k)       ->  begins, or
 *         (suspended)                      returns from __switch_to()
 *                                          ...
 *                                          __switch_to(k, n): n gets the CPU
 *       returns                        <-    engine_coroutine_yield(k)
 *
 * A suspended stack cannot leave its worker. asm/coroutine.h says what that
 * means to the scheduler.
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <asm/coroutine.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>

/* Only the idle task's context calls this, and it returns as that context. */
void wasm_resume_coroutine(struct task_struct *task)
{
	unsigned long idle = get_wasm_current();
	unsigned long stack_pointer = get___stack_pointer();

	engine_coroutine_resume(task);
	set___stack_pointer(stack_pointer);
	set_wasm_current(idle);
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
}

/*
 * Suspends the coroutine of @task, which has given the CPU away. Returns when
 * the task has the CPU again.
 */
void wasm_suspend_coroutine(struct task_struct *task)
{
	unsigned long stack_pointer = get___stack_pointer();

	engine_coroutine_yield(task);
	set___stack_pointer(stack_pointer);
	set_wasm_current((unsigned long)task);
}

static void coroutine_main(void *argument)
{
	struct task_struct *task = argument;
	struct thread_struct *thread = &task->thread;

	schedule_tail(thread->switched_from);
	if (thread->restart)
		thread->restart(thread->restart_argument);
	arch_kthread_stay();
	thread->fn(thread->fn_arg);
	/*
	 * A kernel thread ends in do_exit(), and one that executes a program is
	 * no coroutine. So the function cannot return.
	 */
	BUG();
}

/* The engine calls this on a new stack, for a coroutine that has none. */
void wasm_run_coroutine(struct task_struct *task)
{
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	set_wasm_current((unsigned long)task);
	set___stack_pointer((unsigned long)task_pt_regs(task));
	/*
	 * When this returns, the task may be gone already. Or it may execute
	 * elsewhere, on the same kernel stack.
	 */
	wasm_catch_unwind(coroutine_main, task);
}

void arch_kthread_may_move(void (*function)(void *argument), void *argument)
{
	struct thread_struct *thread = &current->thread;

	/* A thread that may execute on one CPU only keeps its stack. */
	if (!thread->coroutine || (current->nr_cpus_allowed == 1 && kthread_is_per_cpu(current)))
		return;
	thread->restart_argument = argument;
	thread->restart = function;
	migrate_enable();
}

void arch_kthread_stay(void)
{
	struct thread_struct *thread = &current->thread;

	if (!thread->coroutine || current->migration_disabled)
		return;
	migrate_disable();
	/*
	 * A task that sets the affinity of a pinned task would wait until that
	 * one may move, which is never. It gets an error instead.
	 */
	current->flags |= PF_NO_SETAFFINITY;
	thread->restart = NULL;
}
