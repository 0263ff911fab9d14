// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways into the kernel and out of it: system calls, forks, interrupts;
 * and the token that says which worker executes as a CPU.
 *
 * The word auklet_cpu.state is KERNEL while one worker executes kernel code as
 * this CPU. It is USER(w) while no worker does, and worker w executes the user
 * code of its task. Whoever moves it from USER(w) to KERNEL by compare-exchange
 * executes as the CPU: w itself, for a system call, or the CPU's own worker,
 * for an interrupt. The one that loses waits. The word names the worker and not
 * the task: a worker whose task was killed may still execute user code when the
 * task_struct belongs to another task already.
 *
 * Invariant of interrupts: whoever raises one sets the bit in
 * auklet_cpu.pending, then reads the state. Whoever leaves for user mode (or
 * idles) stores the state, then reads the bits. Both are sequentially
 * consistent, so one sees the other.
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/completion.h>
#include <linux/hardirq.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/ptrace.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/seccomp.h>
#include <linux/smp.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include <asm/sigframe.h>
#include <asm/syscall.h>
#include "internal.h"

static inline struct auklet_cpu *this_auklet_cpu(void)
{
	return &auklet_machine.cpu[raw_smp_processor_id()];
}

/* Takes all pending interrupts. Called and left with interrupts disabled. */
static void take_interrupts(struct pt_regs *regs)
{
	struct auklet_cpu *cpu = this_auklet_cpu();
	struct pt_regs *old_regs = set_irq_regs(regs);
	u32 bits;

	while ((bits = word_load(&cpu->pending) & IRQ_TAKEN)) {
		word_and(&cpu->pending, ~(bits | AUKLET_IRQ_WATCHED));
		irq_enter();
		if (bits & AUKLET_IRQ_TIMER)
			wasm_timer_interrupt();
		if (bits & AUKLET_IRQ_DEVICE)
			wasm_device_interrupt();
		if (bits & AUKLET_IRQ_RESCHEDULE)
			scheduler_ipi();
		if (bits & AUKLET_IRQ_CALL)
			generic_smp_call_function_interrupt();
		if (bits & AUKLET_IRQ_WORK)
			irq_work_run();
		irq_exit();
	}
	set_irq_regs(old_regs);
}

/*
 * While a CPU's own worker executes kernel code, no thread waits for the
 * timer's deadline. So it looks at the clock itself, but not at each poll: a
 * look costs 300 ns in Chromium.
 */
#define POLLS_PER_LOOK	16

static inline bool look_at_clock(void)
{
	static u32 polls[NR_CPUS];

	return get_wasm_home_cpu() && ++polls[get_wasm_home_cpu() - 1] % POLLS_PER_LOOK == 0;
}

void wasm_poll_interrupts(void)
{
	struct pt_regs regs;
	u32 pending = READ_ONCE(this_auklet_cpu()->pending);

	if (likely(!(pending & (IRQ_TAKEN | AUKLET_IRQ_STOP))) &&
	    !(look_at_clock() && wasm_check_deadline()))
		return;
	leave_ended_machine();
	memset(&regs, 0, sizeof(regs));
	regs.syscall_nr = WASM_NO_SYSCALL;
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	trace_hardirqs_off();
	take_interrupts(&regs);
	trace_hardirqs_on();
	set_wasm_irqs_enabled(ARCH_IRQ_ENABLED);
}

/*
 * Takes interrupts that arrived in user mode, on the CPU's own worker and for
 * current.
 */
void wasm_take_interrupts_of_user(void)
{
	struct pt_regs *regs = current_pt_regs();

	regs->user = 1;
	take_interrupts(regs);
}

/*
 * The CPU was taken from the program of this worker. Waits until it is given
 * back.
 */
static noinline void enter_kernel_slow(void)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();
	u32 seen, cpu;

	/*
	 * The task may be gone for good: before the CPU is ours, touch nothing
	 * but the worker's slot. Announce first, then try: whoever gives the
	 * CPU to user mode stores the state, then reads wants_kernel.
	 */
	word_store(&worker->wants_kernel, 1);
	for (;;) {
		seen = word_load(&worker->entry_wake);
		if (word_replace(&worker->state, AUKLET_WORKER_ABANDONED, AUKLET_WORKER_RUNNING)) {
			word_store(&worker->wants_kernel, 0);
			wasm_memory_put_without_cpu(worker->memory);
			wasm_leave_kernel(AUKLET_LEAVE_TASK_GONE, 0);
		}
		cpu = word_load(&worker->cpu);
		if (word_replace(&auklet_machine.cpu[cpu].state, (u32)worker, AUKLET_CPU_KERNEL))
			break;
		futex_wait_word(&worker->entry_wake, seen, -1);
	}
	word_store(&worker->wants_kernel, 0);
	wasm_set_cpu_globals(cpu);
}

/*
 * From user mode into the kernel; interrupts stay disabled. Until then the
 * CPU's own worker may be using the task's kernel stack for an interrupt. So
 * functions that programs enter by have no variables in memory of their own.
 */
static __always_inline void enter_kernel(void)
{
	set_wasm_in_kernel(1);
	if (unlikely(!word_replace(&this_auklet_cpu()->state, get_wasm_worker(),
				   AUKLET_CPU_KERNEL)))
		enter_kernel_slow();
}

/* The same, for traps.c. */
void wasm_enter_kernel(void)
{
	enter_kernel();
}

/*
 * True if signals are to be taken although no handler can run now. A handler
 * waits for a stub that asks for it. Death and stops do not wait, nor does a
 * tracer, which must see a signal before the program goes on. A handler that is
 * found meanwhile runs before the next call (TIF_SIGNAL_TAKEN). There is room
 * for one only: until the stub has asked for it, everything but death waits.
 */
static noinline bool takes_signals_early(void)
{
	if (fatal_signal_pending(current))
		return true;
	return !current->thread.signal.taken &&
	       (current->ptrace || current->jobctl & JOBCTL_PENDING_MASK);
}

/*
 * Does what must be done before the current task may execute user code, and
 * gives the CPU to user mode. Returns the result for the program, or RESTART,
 * with the CPU kept, if the system call in @regs must be dispatched again.
 * @can_run_handler: the system call stub of the program is there to run a
 * handler.
 *
 * Once the CPU is given away, nothing of the task may be touched, not even its
 * stack: the CPU's own worker may use that for an interrupt, and the task may
 * be killed and freed. So the result is a value.
 */
#define RESTART		BIT_ULL(32)

static __always_inline s64 give_cpu_to_user(struct pt_regs *regs, bool can_run_handler)
{
	struct auklet_worker *worker;
	struct auklet_cpu *cpu;
	unsigned long flags;
	bool signals;
	u32 result;

	for (;;) {
		local_irq_disable();
		flags = read_thread_flags() & _TIF_EXIT_WORK;
		if (can_run_handler && current->thread.signal.taken)
			wasm_publish_signal(regs);
		signals = flags & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL) ||
			  current->thread.signal.taken;
		if ((!can_run_handler || current->thread.signal.taken) &&
		    !takes_signals_early())
			flags &= ~(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL);
		if (!flags) {
			if (current->thread.start != WASM_START_NONE)
				current->thread.start = WASM_START_NONE;
			result = regs->result;
			cpu = this_auklet_cpu();
			worker = (void *)get_wasm_worker();
			wasm_want_system_call(worker, signals);
			/*
			 * Written only when a CPU is given to this worker's
			 * program. An atomic store costs more than a look.
			 */
			if (READ_ONCE(worker->cpu) != raw_smp_processor_id())
				word_store(&worker->cpu, raw_smp_processor_id());
			word_store(&cpu->state, get_wasm_worker());
			if (likely(!(word_load(&cpu->pending) & IRQ_TAKEN)))
				return result;
			if (!word_replace(&cpu->state, get_wasm_worker(), AUKLET_CPU_KERNEL))
				return result;
			wasm_take_interrupts_of_user();
			continue;
		}
		local_irq_enable();
		if (flags & _TIF_NEED_RESCHED)
			schedule();
		if (flags & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL)) {
			wasm_take_signal(regs);
			if (current->thread.signal.restart)
				return RESTART;
		}
		if (flags & _TIF_NOTIFY_RESUME)
			resume_user_mode_work(regs);
	}
}

/* The same, for the ways out that are not that of a system call. */
s64 wasm_return_to_user(struct pt_regs *regs, bool can_run_handler)
{
	return give_cpu_to_user(regs, can_run_handler);
}

/*
 * Begins user code for a task that comes from no system call: a new one, or one
 * about to die.
 */
void __noreturn wasm_start_user(void)
{
	unsigned long stack_pointer = (unsigned long)current_pt_regs();

	wasm_return_to_user(current_pt_regs(), false);
	wasm_leave_kernel(AUKLET_LEAVE_START, stack_pointer);
}

/*
 * A call that the stub itself makes, for a handler. Tracers and filters do not
 * see it.
 */
static bool is_call_of_stub(const struct pt_regs *regs)
{
	return regs->syscall_nr == __NR_wasm_signal_frame;
}

/* Returns false if the call is not to be made; @regs has its result then. */
static noinline bool system_call_entry_work(struct pt_regs *regs)
{
	unsigned long flags = read_thread_flags();

	if (is_call_of_stub(regs))
		return true;
	regs->result = -ENOSYS;
	if (flags & (_TIF_SYSCALL_TRACE | _TIF_SYSCALL_EMU)) {
		if (ptrace_report_syscall_entry(regs) || flags & _TIF_SYSCALL_EMU)
			return false;
	}
	/*
	 * The filter comes after the tracer, which may have changed the call.
	 */
	if (test_thread_flag(TIF_SECCOMP) && secure_computing() == -1)
		return false;
	return regs->syscall_nr != WASM_NO_SYSCALL;
}

static noinline void system_call_exit_work(struct pt_regs *regs)
{
	if (test_thread_flag(TIF_SYSCALL_TRACE) && !is_call_of_stub(regs))
		ptrace_report_syscall_exit(regs, 0);
}

/*
 * A signal that arrived while the program ran is handled before this call: it
 * must not interrupt the call, nor be blocked by it. The calls that the stub
 * makes for a handler are not the program's.
 */
static bool signal_comes_first(const struct pt_regs *regs)
{
	return !is_call_of_stub(regs) && regs->syscall_nr != __NR_rt_sigreturn;
}

static __always_inline void dispatch(struct pt_regs *regs)
{
	unsigned long work = read_thread_flags() &
			     (_TIF_SYSCALL_WORK | _TIF_SIGPENDING | _TIF_SIGNAL_TAKEN);
	u32 nr;

	if (unlikely(work & (_TIF_SIGPENDING | _TIF_SIGNAL_TAKEN)) &&
	    signal_comes_first(regs)) {
		regs->result = -ERESTARTNOINTR;
		return;
	}
	if (unlikely(current->mm->context.shared_areas))
		wasm_publish_areas(current->mm);
	if (unlikely(work & _TIF_SYSCALL_WORK) && !system_call_entry_work(regs))
		goto leave;
	nr = regs->syscall_nr;
	if (likely(nr < NR_syscalls))
		regs->result = sys_call_table[nr](regs->args[0], regs->args[1], regs->args[2],
						  regs->args[3], regs->args[4], regs->args[5]);
	else
		regs->result = -ENOSYS;
leave:
	/*
	 * Read the flags again: a tracer may have come in the middle of the
	 * call.
	 */
	if (unlikely(read_thread_flags() & _TIF_SYSCALL_WORK))
		system_call_exit_work(regs);
	if (unlikely(current->mm->context.shared_areas))
		wasm_set_settled(current->mm, false);
}

/*
 * Called after the call that linux.fork makes; false if it is to be made again.
 * U may not change before the child has its copy, and the child will use
 * fork_done. So it counts whether there is a child, not what the result is:
 * a tracer may have set that.
 */
static noinline bool fork_is_over(const struct pt_regs *regs)
{
	struct thread_struct *thread = &current->thread;

	if (!thread->fork_copies)
		return regs->result != -ERESTARTNOINTR;
	wait_for_completion(thread->fork_done);
	thread->fork_copies = false;
	return true;
}

/* Runs the call in @regs to its end. Returns the value for the program. */
static __always_inline long run_system_call(struct pt_regs *regs)
{
	struct thread_struct *thread = &current->thread;
	s64 result;

	for (;;) {
		thread->signal.restart = false;
		dispatch(regs);
		if (unlikely(thread->fork_request) && fork_is_over(regs))
			thread->fork_request = false;
		if (unlikely(thread->signal.restart))	/* rt_sigreturn */
			continue;
		if (unlikely(thread->start != WASM_START_NONE))	/* execve */
			wasm_start_user();
		/*
		 * Another handler does not begin in the frame of one: it runs
		 * at the next call.
		 */
		result = give_cpu_to_user(regs, regs->syscall_nr != __NR_wasm_signal_frame);
		if (likely(result != RESTART)) {
			set_wasm_in_kernel(0);
			return (long)result;
		}
	}
}

/*
 * linux.syscall of every program: its instance calls the worker's kernel
 * instance.
 */
long wasm_syscall(u32 nr, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f)
{
	struct pt_regs *regs;

	/*
	 * Check before anything changes: if the engine's stack ended inside the
	 * kernel, nothing could go on. The other ways in begin at the worker's
	 * base, where that stack is empty.
	 */
	wasm_check_engine_stack(nr);
	enter_kernel();
	local_irq_enable();
	regs = current_pt_regs();
	regs->syscall_nr = nr;
	regs->args[0] = a;
	regs->args[1] = b;
	regs->args[2] = c;
	regs->args[3] = d;
	regs->args[4] = e;
	regs->args[5] = f;
	return run_system_call(regs);
}

/*
 * The clone or clone3 of a program that was unwound into @buffer, where the
 * call follows two words of asyncify. copy_thread() finds the request in the
 * thread. The child's worker copies U, and the parent may not touch U before.
 */
static noinline long run_fork(u32 buffer, u32 stack_pointer, u32 tls_base)
{
	DECLARE_COMPLETION_ONSTACK(copied);
	struct thread_struct *thread = &current->thread;
	struct pt_regs *regs = current_pt_regs();
	struct {
		u32 number;
		u32 arguments[5];
	} call;

	thread->fork_request = true;
	thread->fork_done = &copied;
	thread->fork_buffer = buffer;
	thread->stack_pointer = stack_pointer;
	thread->tls_base = tls_base;
	memset(regs, 0, sizeof(*regs));
	regs->syscall_nr = WASM_NO_SYSCALL;
	/*
	 * No access_ok(): it faults the first page, but the buffer may be at
	 * the end of the stack.
	 */
	if (!__copy_from_user(&call, (void __user *)(buffer + 2 * sizeof(u32)), sizeof(call)) &&
	    (call.number == __NR_clone || call.number == __NR_clone3)) {
		regs->syscall_nr = call.number;
		for (unsigned int i = 0; i < ARRAY_SIZE(call.arguments); i++)
			regs->args[i] = call.arguments[i];
		/* vfork is fork: the parent waits, but has its own memory. */
		if (call.number == __NR_clone && (call.arguments[0] & CLONE_VFORK))
			regs->args[0] &= ~CLONE_VM;
	}
	return run_system_call(regs);
}

/* linux.fork, after the program was unwound. */
long wasm_fork_process(u32 buffer, u32 stack_pointer, u32 tls_base)
{
	enter_kernel();
	local_irq_enable();
	return run_fork(buffer, stack_pointer, tls_base);
}
