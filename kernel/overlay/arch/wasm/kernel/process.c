// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks, the workers that run them, and the switch between them.
 *
 * Every task of a program has a worker of its own, and the worker's wasm stack
 * is the task's: it cannot be saved or moved. To switch is therefore to hand
 * the CPU to the worker of the other task, and to wait on a word of one's own:
 *
 *     worker of prev                            worker of next
 *     __schedule()                              (waits in __switch_to)
 *       __switch_to(prev, next)
 *         next.wake = CPU + 1; notify    ->     acts as that CPU
 *         wait on prev.wake                     returns to __schedule(),
 *                                               finish_task_switch()
 *
 * Kernel threads have no worker where the engine can do without: coroutine.c.
 * The idle task is executed by the CPU's own worker: own_cpu.c. Before a worker
 * gives its CPU away it may wait a little: short_stop.c.
 *
 * kernel/model/cpu-token.pml of the repository is a model of this switch, of
 * own_cpu.c and of entry.c, which a checker explores whole.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include <asm/switch_to.h>
#include "internal.h"

unsigned long init_stack[THREAD_SIZE / sizeof(unsigned long)] __aligned(THREAD_SIZE);

/* Makes this worker act as CPU @cpu. */
void wasm_set_cpu_globals(unsigned int cpu)
{
	set_wasm_cpu(cpu);
	set_wasm_cpu_offset(__per_cpu_offset[cpu]);
}

/*
 * Unwinds this worker to its base, through whatever program is on its stack.
 * The CPU was given away, so the task may be gone: @stack_pointer, for the next
 * system call of the program, was read before.
 */
void __noreturn wasm_leave_kernel(u32 reason, unsigned long stack_pointer)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	worker->leave = reason;
	set_wasm_in_kernel(0);
	/* No function returns from here that would restore it. */
	set___stack_pointer(stack_pointer);
	__builtin_trap();
}

/* Waits until the task of this worker has a CPU. */
static void wait_for_cpu(struct auklet_worker *worker)
{
	u32 wake;

	for (;;) {
		wake = word_exchange(&worker->wake, 0);
		leave_ended_machine();
		if (likely(wake && wake != AUKLET_WAKE_TRACE))
			break;
		if (wake)
			wasm_answer_trace_request(worker);
		else
			futex_wait_word(&worker->wake, 0, -1);
	}
	if (wake == AUKLET_WAKE_CANCEL) {
		worker->leave = AUKLET_LEAVE_TASK_GONE;
		__builtin_trap();
	}
	wasm_set_cpu_globals(wake - 1);
}

/*
 * Gives CPU @number to @next. From then on @next executes and may end at once:
 * nothing of it may be touched.
 */
static void hand_over(unsigned int number, struct task_struct *next)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	struct auklet_worker *worker = next->thread.worker;

	if (!worker || next->thread.in_user) {
		/*
		 * The CPU's own worker goes on, as the idle task or for next.
		 */
		word_store(&cpu->switch_to, (u32)next);
		word_or(&cpu->pending, AUKLET_IRQ_SWITCH);
		if (!get_wasm_home_cpu())
			futex_wake_word(&cpu->pending, 1);
		return;
	}
	word_store(&worker->wake, number + 1);
	futex_wake_word(&worker->wake, 1);
}

struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	struct auklet_worker *worker = prev->thread.worker;
	unsigned int cpu = raw_smp_processor_id();
	bool coroutine, drop, poll;

	next->thread.switched_from = prev;
	if (get_wasm_home_cpu()) {
		coroutine = prev->thread.coroutine;
		drop = worker || READ_ONCE(prev->__state) == TASK_DEAD || prev->thread.restart;
		hand_over(cpu, next);
		/*
		 * From here on prev may execute elsewhere, or be gone, unless
		 * it has frames here that it needs.
		 */
		if (drop)
			wasm_unwind();
		if (coroutine)
			wasm_suspend_coroutine(prev);
		else
			wasm_serve_own_cpu();
		return prev->thread.switched_from;
	}
	if (unlikely(READ_ONCE(prev->__state) == TASK_DEAD)) {
		/*
		 * As soon as next runs it frees prev and the stack that we
		 * stand on: nothing below may use either.
		 */
		hand_over(cpu, next);
		worker->leave = AUKLET_LEAVE_TASK_GONE;
		__builtin_trap();
	}
	wasm_note_sleep(worker);
	wasm_begin_stop(&prev->thread.stop);
	/*
	 * If the CPU goes idle, an interrupt ends that, which another thread
	 * takes: the stop will not be short.
	 */
	poll = prev->thread.stop.poll && !is_idle_task(next) &&
	       wasm_busy_cpus() < auklet_machine.processors;
	hand_over(cpu, next);
	if (poll)
		wasm_poll_word(&prev->thread.stop, &worker->wake, NULL);
	wait_for_cpu(worker);
	wasm_end_stop(&prev->thread.stop);
	return prev->thread.switched_from;
}

/*
 * The current task was moved here to die, and has lost its program. The signal
 * may be gone by now, because another thread took it. Or it has got a handler,
 * which cannot run.
 */
static void die_of_signal(void)
{
	wasm_take_signal(current_pt_regs());
	wasm_forget_taken_signal(current);
	force_fatal_sig(SIGKILL);
	wasm_take_signal(current_pt_regs());
}

/* The first function of a task on its worker. */
static void __noreturn task_entry(struct auklet_worker *worker, struct task_struct *task)
{
	struct thread_struct *thread = &task->thread;
	/* schedule_tail() would store to it, but the task has no U yet. */
	int __user *child_tid = task->set_child_tid;
	int (*fn)(void *argument);

	word_store(&worker->state, AUKLET_WORKER_RUNNING);
	wait_for_cpu(worker);
	if (thread->adopted) {
		local_irq_enable();
		if (task->mm)
			engine_bind_memory(task->mm->context.memory);
		die_of_signal();
	} else {
		task->set_child_tid = NULL;
		schedule_tail(thread->switched_from);
		fn = thread->fn;
		if (fn) {
			thread->fn = NULL;
			fn(thread->fn_arg);
			/* It has returned, so it has executed a program. */
		} else if (thread->fork_source != AUKLET_NO_MEMORY) {
			if (wasm_fork_copy_memory(thread->fork_source))
				force_fatal_sig(SIGKILL);
			thread->fork_source = AUKLET_NO_MEMORY;
			complete(thread->fork_done);
			thread->fork_done = NULL;
		} else if (engine_bind_memory(task->mm->context.memory)) {
			force_fatal_sig(SIGKILL);
		}
		if (child_tid)
			put_user(task_pid_vnr(task), child_tid);
	}
	local_irq_enable();
	wasm_start_user();
}

/* The engine calls this: the worker of @slot begins its task. */
void wasm_run_task(u32 slot)
{
	struct auklet_worker *worker = &auklet_machine.worker[slot];
	struct task_struct *task = (struct task_struct *)worker->task;

	set_wasm_worker((unsigned long)worker);
	set_wasm_in_kernel(1);
	set_wasm_home_cpu(0);
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	set_wasm_current((unsigned long)task);
	set___stack_pointer((unsigned long)task_pt_regs(task));
	task_entry(worker, task);
}

static void put_exec_memory(struct task_struct *task)
{
	if (task->thread.exec_memory != AUKLET_NO_MEMORY)
		wasm_memory_put(task->thread.exec_memory);
	task->thread.exec_memory = AUKLET_NO_MEMORY;
}

/*
 * The child must not own what the thread_struct of its parent owns, not even if
 * copy_process() fails before copy_thread().
 */
int arch_dup_task_struct(struct task_struct *dst, struct task_struct *src)
{
	*dst = *src;
	dst->thread.signal.taken = NULL;
	dst->thread.exec_memory = AUKLET_NO_MEMORY;
	return 0;
}

/* A U of @pages for the child of fork(); its areas are those of the parent. */
static int copy_address_space(struct task_struct *p)
{
	struct thread_struct *thread = &p->thread;
	int memory, error;

	thread->fork_source = current->mm->context.memory;
	thread->fork_done = current->thread.fork_done;
	memory = wasm_memory_take(auklet_machine.memory[thread->fork_source].pages);
	p->mm->context.memory = memory < 0 ? AUKLET_NO_MEMORY : memory;
	if (memory < 0)
		return -EAGAIN;
	error = wasm_dup_areas(p->mm, current->mm);
	if (!error)
		wasm_copy_safepoint(thread->fork_source, memory);
	return error;
}

/*
 * A worker can ask for memories only before it runs a task. So a task that is
 * made to execute a program gets the U of that program now: later there may be
 * none that its worker could be bound to. (init has one of those that were
 * there before its worker.)
 */
static int take_exec_memory(struct thread_struct *thread)
{
	int memory = wasm_memory_take(0);

	if (memory < 0)
		return -EAGAIN;
	thread->exec_memory = memory;
	return 0;
}

/* The worker begins where the program of the parent was unwound. */
static void begin_fork(struct auklet_worker *worker, const struct kernel_clone_args *args)
{
	const struct thread_struct *parent = &current->thread;

	worker->start = AUKLET_START_FORK;
	worker->entry = parent->worker->entry;
	worker->argument = parent->worker->argument;
	worker->fork_buffer = parent->fork_buffer;
	worker->globals[AUKLET_GLOBAL_STACK_POINTER] = parent->stack_pointer;
	worker->globals[AUKLET_GLOBAL_TLS_BASE] =
		args->flags & CLONE_SETTLS ? args->tls : parent->tls_base;
}

/*
 * The worker begins with the function and the argument that lie at
 * @args->stack.
 */
static void begin_thread(struct auklet_worker *worker, const struct kernel_clone_args *args)
{
	worker->start = AUKLET_START_CLONE;
	worker->entry = AUKLET_START_CLONE;
	worker->argument = args->stack;
	worker->globals[AUKLET_GLOBAL_STACK_POINTER] = args->stack;
	/* Without CLONE_SETTLS the base stays the parent's. */
	worker->globals[AUKLET_GLOBAL_TLS_BASE] =
		args->flags & CLONE_SETTLS ? args->tls : engine_program_tls();
}

/*
 * Prepares task @p to execute for the first time.
 *
 * Elsewhere this builds the frames through which a new task returns from its
 * first switch. A wasm stack cannot be built: it can only grow by calls. So
 * every task begins on an empty stack, in task_entry(), on a worker of its own.
 * What is prepared here is the account of how to go on from there, in the
 * thread_struct (for task_entry()) and in the auklet_worker (for the code
 * around the kernel that starts the program).
 *
 *   task                       worker     begins with
 *   idle task of a CPU         the CPU's  secondary_start()
 *   kernel thread, coroutines  none       ->fn, in wasm_run_coroutine()
 *   kernel thread, without     fresh      ->fn
 *   init, a helper's program   fresh      ->fn, which executes a program
 *   fork() (!CLONE_VM)         fresh      a copy of U, and the program rewound
 *                                         to its call of linux.fork
 *   thread (CLONE_VM)          fresh      the function at @args->stack
 *
 * fork() must come by linux.fork, which has unwound the program: the frames of
 * the parent are then data in U, and the child's worker rewinds them from its
 * copy. That worker makes the copy itself, while the parent waits (fork_done).
 *
 * The base of the kernel stack holds the pt_regs of the last system call, as
 * task_pt_regs() says; everything below is free:
 *
 *     task_stack_page(p) + THREAD_SIZE  ->  +-----------+
 *                                           |  pt_regs  |
 *     __stack_pointer in task_entry()   ->  +-----------+
 */
int copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
	bool forks = !args->fn && !(args->flags & CLONE_VM);
	struct thread_struct *thread = &p->thread;
	struct pt_regs *regs = task_pt_regs(p);
	struct auklet_worker *worker;
	bool will_exec;
	int error;

	memset(thread, 0, sizeof(*thread));
	thread->fork_source = AUKLET_NO_MEMORY;
	thread->exec_memory = AUKLET_NO_MEMORY;
	memset(regs, 0, sizeof(*regs));
	regs->syscall_nr = WASM_NO_SYSCALL;
	regs->user = 1;
	if (args->idle)
		return 0;

	/* A pinned kernel thread's children are not. */
	p->migration_disabled = 0;
	p->cpus_ptr = &p->cpus_mask;

	thread->fn = args->fn;
	thread->fn_arg = args->fn_arg;
	thread->coroutine = args->kthread && auklet_machine.coroutines;
	if (thread->coroutine)
		return 0;
	/*
	 * A forked child has the stack that its parent has; a thread needs one.
	 */
	if (!args->fn && (forks != current->thread.fork_request || forks == !!args->stack))
		return -EINVAL;
	if (forks) {
		error = copy_address_space(p);
		if (error)
			return error;
	}
	will_exec = args->fn ? !args->kthread && current->pid : args->flags & CLONE_VFORK;
	if (will_exec && !forks) {
		error = take_exec_memory(thread);
		if (error)
			return error;
	}
	worker = wasm_worker_take();
	if (!worker) {
		put_exec_memory(p);
		return -EAGAIN;
	}
	worker->other_memory = forks ? thread->fork_source : thread->exec_memory;
	if (!args->fn) {
		worker->memory = p->mm->context.memory;
		worker->module = current->thread.worker->module;
		if (forks)
			begin_fork(worker, args);
		else
			begin_thread(worker, args);
		thread->start = WASM_START_PROGRAM;
	}
	current->thread.fork_copies = forks;
	thread->worker = worker;
	wasm_worker_start(worker, p);
	return 0;
}

/* For a task that ends, or that copy_process() gives up after copy_thread(). */
void exit_thread(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	/*
	 * Whoever is to reap a victim of the OOM killer may wait for
	 * memory: then another victim is needed. The files of this one
	 * are closed, so it has no more to give.
	 */
	if (task == current && signal->oom_mm && !atomic_read(&signal->live))
		set_bit(MMF_OOM_SKIP, &signal->oom_mm->flags);
	put_exec_memory(task);
	if (task != current && task->thread.worker) {
		wasm_worker_cancel(task->thread.worker);
		task->thread.worker = NULL;
		current->thread.fork_copies = false;
	}
}

void flush_thread(void)
{
	wasm_forget_taken_signal(current);
}

void arch_release_task_struct(struct task_struct *task)
{
	wasm_forget_taken_signal(task);
}
