// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways into the kernel and out of it: system calls, traps of programs,
 * interrupts; and the token that says who executes as a CPU.
 *
 * The word auklet_cpu.state is KERNEL while one worker executes kernel code as
 * this CPU, and USER(w) while nobody does and worker w executes its task's user
 * code. Whoever moves it from USER(w) to KERNEL by compare-exchange executes as the
 * CPU: w itself, for a system call, or the CPU's own worker, for an interrupt. The
 * one that loses waits. It names the worker and not the task, because a worker whose task was
 * killed may still run, while the task's memory is another task's already.
 *
 * Invariant of interrupts: who raises one sets the bit in auklet_cpu.pending and
 * then looks at the state; who leaves for user mode (or idles) stores the state and then
 * looks at the bits. Both are sequentially consistent, so one of them sees the other.
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
 * Whether it is time to look at the clock. While a CPU's own worker executes kernel code, nobody
 * waits for the timer's deadline; reading the clock each time would be too dear.
 */
#define POLLS_PER_CLOCK	16

static inline bool look_at_clock(void)
{
	static u32 polls[NR_CPUS];

	return get_wasm_home_cpu() && ++polls[get_wasm_home_cpu() - 1] % POLLS_PER_CLOCK == 0;
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

/* An interrupt that arrived in user mode; on the CPU's own worker, for current. */
void wasm_take_interrupts_of_user(void)
{
	struct pt_regs *regs = current_pt_regs();

	regs->user = 1;
	take_interrupts(regs);
}

/* The CPU was taken from this worker's program; wait until it is given back. */
static noinline void enter_kernel_slow(void)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();
	u32 seen, cpu;

	/*
	 * The task may be gone for good: nothing but the worker's slot may be
	 * touched before the CPU is ours. Announce first, then try: whoever
	 * gives the CPU to user mode stores the state and then looks here.
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
 * From user mode into the kernel; interrupts stay disabled. Nothing may be put on the task's kernel
 * stack before: the CPU's own worker may be using it for an interrupt. So the functions that the host calls
 * have no variables in memory of their own.
 */
static __always_inline void enter_kernel(void)
{
	set_wasm_in_kernel(1);
	if (unlikely(!word_replace(&this_auklet_cpu()->state, get_wasm_worker(),
				   AUKLET_CPU_KERNEL)))
		enter_kernel_slow();
}

/*
 * Whether signals are to be taken although no handler can run now. Handlers wait for a stub that asks for them; death, stops, and a
 * tracer, who is to see a signal before the program goes on, do not. A handler that is found on this occasion runs before the
 * next call (TIF_SIGNAL_TAKEN). But there is place for one only: while the stub has not asked for it, all but death waits, and
 * comes when it has, before the handler's own code.
 */
static noinline bool takes_signals_early(void)
{
	if (fatal_signal_pending(current))
		return true;
	return !current->thread.signal.taken &&
	       (current->ptrace || current->jobctl & JOBCTL_PENDING_MASK);
}

/*
 * Does what must be done before the current task may run user code, and gives the
 * CPU to user mode; the result is the program's. Or RESTART, with the CPU kept, if the system call
 * in @regs must be dispatched again. @can_run_handler: the program's system call stub is there to run a handler.
 *
 * Once the CPU is given away nothing of the task may be touched, its stack included: the CPU's own worker may
 * use that stack for an interrupt, and the task may even be killed and freed. So the result is a value.
 */
#define RESTART		(1LL << 32)

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
		signals = flags & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL) || current->thread.signal.taken;
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
			/* Only who gives a CPU to this worker's program writes it. An atomic store costs more than a look. */
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

/* For tasks that do not come from a system call: new ones, and those about to die. */
void __noreturn wasm_start_user(void)
{
	unsigned long stack_pointer = (unsigned long)current_pt_regs();

	give_cpu_to_user(current_pt_regs(), false);
	wasm_leave_kernel(AUKLET_LEAVE_START, stack_pointer);
}

/* A call of the stub itself, for a handler; a tracer or a filter knows nothing of it. */
static bool is_call_of_stub(const struct pt_regs *regs)
{
	return regs->syscall_nr == __NR_wasm_signal_frame;
}

/* False: the call is not made, and its result stands in @regs already. */
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
	/* After the tracer, who may have made another call of it. */
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
 * A signal that arrived while the program ran, and so before this call, is handled before it. It must not interrupt the call, nor find
 * itself blocked by it. The calls that the stub makes for a handler are not the program's.
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

	if (unlikely(work & (_TIF_SIGPENDING | _TIF_SIGNAL_TAKEN)) && signal_comes_first(regs)) {
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
	/* Not as it was before: a tracer may have come, or want to see more, in the middle of the call. */
	if (unlikely(read_thread_flags() & _TIF_SYSCALL_WORK))
		system_call_exit_work(regs);
}

/*
 * After the call that linux.fork makes; false if it is to be made again. U may not change before the child has its copy, and the child
 * will use fork_done: so what counts is whether there is a child, not the result, which a tracer may have set.
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

/* Runs the call in @regs to its end; the value for the program. */
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
		/* The frame of one handler is no place to begin another: that one runs from the first's next call. */
		result = give_cpu_to_user(regs, regs->syscall_nr != __NR_wasm_signal_frame);
		if (likely(result != RESTART)) {
			set_wasm_in_kernel(0);
			return (long)result;
		}
	}
}

/* linux.syscall of every program: a direct call from its instance to the worker's kernel instance. */
long wasm_syscall(u32 nr, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f)
{
	struct pt_regs *regs;

	/*
	 * Before anything is changed: if the engine's stack ended in the kernel, no state would be left to go on from. The other ways
	 * in begin at the worker's base, where the stack is empty.
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
 * The clone or clone3 of a program that was unwound into @buffer, where asyncify's two words come before the call.
 * copy_thread() finds the request in the thread; the child's worker copies U, and the parent may not touch it before.
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
	/* Without access_ok(), which faults the first page: the buffer is often at the main stack's end. */
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

static const struct {
	int signal;
	int code;
	const char *what;
} traps[] = {
	[AUKLET_TRAP_MEMORY]	= { SIGSEGV, SEGV_MAPERR, "memory access out of bounds" },
	[AUKLET_TRAP_UNREACHABLE]	= { SIGILL, ILL_ILLOPC, "unreachable code" },
	[AUKLET_TRAP_DIVISION]	= { SIGFPE, FPE_INTDIV, "division by zero" },
	[AUKLET_TRAP_OVERFLOW]	= { SIGFPE, FPE_INTOVF, "integer overflow" },
	[AUKLET_TRAP_CALL]	= { SIGSEGV, SEGV_MAPERR, "bad indirect call" },
	[AUKLET_TRAP_STACK]	= { SIGSEGV, SEGV_MAPERR, "stack overflow" },
	[AUKLET_TRAP_EXCEPTION]	= { SIGABRT, SI_KERNEL, "uncaught exception" },
	[AUKLET_TRAP_START]	= { SIGSEGV, SEGV_MAPERR, "program cannot start" },
};

static noinline unsigned long deliver_trap(u32 kind, bool can_handle)
{
	struct pt_regs *regs = current_pt_regs();
	unsigned long stack = 1;
	int signal;

	if (kind >= ARRAY_SIZE(traps))
		kind = AUKLET_TRAP_UNREACHABLE;
	signal = traps[kind].signal;
	/* The stub that would have asked for it is gone, as where Linux finds no room for a frame. */
	wasm_forget_taken_signal(current);
	memset(regs, 0, sizeof(*regs));
	regs->user = 1;
	regs->syscall_nr = WASM_NO_SYSCALL;
	regs->result = signal;
	regs->trap = 1;
	if (show_unhandled_signals && unhandled_signal(current, signal) && printk_ratelimit())
		pr_info("%s[%d]: %s\n", current->comm, task_pid_nr(current), traps[kind].what);
	if (can_handle)
		force_sig_fault(signal, traps[kind].code, NULL);
	else
		force_fatal_sig(signal);
	wasm_take_signal(regs);
	/* Without a handler it only returns if a tracer keeps the signal back; but there are no frames to go on with. */
	if (!current->thread.signal.taken)
		do_group_exit(signal);
	/* The program's own stack may have overflowed: not even the frame would fit. */
	if (current->thread.signal.taken->ka.sa.sa_flags & SA_ONSTACK && current->sas_ss_size)
		stack = round_down(current->sas_ss_sp + current->sas_ss_size, 16);
	if ((long)give_cpu_to_user(regs, true) != WASM_SIGNAL_PENDING)
		stack = 0;
	set_wasm_in_kernel(0);
	return stack;
}

/*
 * The program of the current task trapped: its frames are gone. Not 0 if a handler is to be run (@can_handle: the
 * program has the function for that), then the alternate stack to run it on, or 1 for what is left of the program's own.
 * When the handler returns, the task dies.
 */
unsigned long wasm_user_trap(u32 kind, u32 can_handle)
{
	enter_kernel();
	local_irq_enable();
	return deliver_trap(kind, can_handle);
}

/* Where the host writes the text for wasm_kernel_trap(). */
char wasm_trap_text[AUKLET_TRAP_TEXT_SIZE];

/* Kernel code trapped in this worker; @text is the engine's account of it, in K. */
void wasm_kernel_trap(const char *text, u32 length)
{
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	bust_spinlocks(1);
	pr_emerg("kernel code trapped on CPU %d in %s[%d]\n%.*s\n", raw_smp_processor_id(),
		 current->comm, task_pid_nr(current), (int)length, text);
	bust_spinlocks(0);
	panic("Fatal trap in kernel code");
}
