// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks and the workers that run them.
 *
 * Every task of a program has a worker of its own, and the worker's wasm
 * stack is the task's: it cannot be saved or moved. Switching therefore means
 * handing the CPU to the other task's worker and waiting on one's own word.
 *
 *     worker of prev                            worker of next
 *     __schedule()                              (waits in __switch_to)
 *       __switch_to(prev, next)
 *         next.wake = CPU + 1; notify    ->     acts as that CPU
 *         wait on prev.wake                     returns to __schedule(), finish_task_switch()
 *
 * Kernel threads have no worker where the engine can do without: see coroutine.c.
 *
 * A CPU's own worker runs the CPU's idle task. While another task has the CPU,
 * it stands in the idle task's __switch_to() and is the CPU's interrupt unit:
 * it sleeps on auklet_cpu.pending with the timer's deadline as the timeout. If it finds
 * the CPU in user mode, it takes it and runs the interrupt, as the current task and
 * on that task's kernel stack, which is empty then:
 *
 *     own worker:  idle task ... __switch_to -> serve_own_cpu -> wasm_catch_unwind
 *                    -> [as task t] interrupt -> schedule() -> __switch_to(t, n)
 *
 * When the scheduler wants another task n there, t has no frames worth keeping: n gets the
 * CPU, the frames are dropped by wasm_unwind(), t is marked in_user. t's worker goes on
 * executing user code and is not disturbed; its next system call waits. When t is
 * scheduled again, its CPU's own worker completes the switch on its behalf.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/elf.h>
#include <linux/elfcore.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/stacktrace.h>
#include <linux/tick.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/globals.h>
#include <asm/host_calls.h>
#include <asm/machine.h>
#include <asm/switch_to.h>
#include <asm/wchan.h>

unsigned long init_stack[THREAD_SIZE / sizeof(unsigned long)] __aligned(THREAD_SIZE);

void set_cpu_globals(unsigned int cpu)
{
	set_wasm_cpu(cpu);
	set_wasm_cpu_offset(__per_cpu_offset[cpu]);
}

/*
 * Unwinds this worker to its base, through whatever program is on its stack. The CPU was given away, so the task
 * may be gone: @stack_pointer, for the program's next system call, is from before.
 */
void __noreturn leave_kernel(u32 reason, unsigned long stack_pointer)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	worker->leave = reason;
	set_wasm_in_kernel(0);
	/* No function returns, so nobody else puts it back. */
	set___stack_pointer(stack_pointer);
	__builtin_trap();
}

/* Back to the base for good, out of whatever kernel code and program are on this worker's stack. */
void __noreturn leave_machine(void)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	if (worker)
		worker->leave = AUKLET_LEAVE_STOP;
	__builtin_trap();
}

/* This CPU does nothing any more; when the host has heard of the machine's end, it leaves. */
void __noreturn stop_cpu_forever(void)
{
	for (;;)
		futex_wait_word(&auklet_machine.cpu[0].pending, word_load(&auklet_machine.cpu[0].pending), -1);
}

/*
 * A thread of the host that sleeps is woken in 10 to 30 us, more than most system calls take, and two of them one after the
 * other if the CPU goes idle meanwhile. So the worker of a task whose stops are short does not give its CPU away at once.
 *
 * It watches for a while whether it may go on, if that did not take long the last time, and if there is a processor for it. It must not
 * take the one that it waits for: nobody tells us that other programs use the host, but then polls fail, or the stop is very short without,
 * because both threads are on one processor. Then it sleeps, still as the CPU, until another one or an interrupt ends that (CPU_WAITS).
 */
#define POLLS_PER_CLOCK		64
#define SHORTEST_POLL_NS	(6 * 1000)
#define LONGEST_POLL_NS		(60 * 1000)
#define LONGEST_STOP_NS		(500 * 1000)	/* sysctl_sched_migration_cost: for less, an idle CPU does not look for tasks */
/* Between being woken and waking another task. */
#define LONGEST_TURN_NS		(100 * 1000)
/* Waits between two tries to come to the CPU of the waker. */
#define TURNS_APART		50
/* Polls in a row that may fail without a pause: the other side may not poll yet, and takes its time to be woken. */
#define FREE_FAILURES		5

/* CPUs that are not idle, or not for long; this one among them. Each takes a processor of the host's. */
static unsigned int busy_cpus(void)
{
	unsigned int number, busy = 0;

	for_each_online_cpu(number) {
		struct auklet_cpu *cpu = &auklet_machine.cpu[number];
		u32 state = word_load(&cpu->state);

		busy += (state != AUKLET_CPU_IDLE && state != AUKLET_CPU_WAITS) ||
			word_load(&cpu->pending) & IRQ_TAKEN;
	}
	return busy;
}

/* Without a poll, a stop is measured. */
static void begin_stop(struct stop *stop)
{
	if (!stop->poll && !stop->begin)
		stop->begin = host_now();
}

static void end_stop(struct stop *stop)
{
	u64 length;

	if (!stop->begin)
		return;
	stop->end = host_now();
	length = stop->end - stop->begin;
	stop->begin = 0;
	stop->was_short = length <= LONGEST_STOP_NS;
	if (!stop->was_short || length < SHORTEST_POLL_NS)
		return;
	if (stop->skip)
		stop->skip--;
	else
		stop->poll = min_t(u64, length, LONGEST_POLL_NS);
}

/* Until @word is not 0, or @pending has interrupts, if it is not NULL; but never for long. True: @word, or an interrupt. */
static bool poll_word(struct stop *stop, const u32 *word, const u32 *pending)
{
	u64 begin = host_now();
	unsigned int i;

	do {
		for (i = 0; i < POLLS_PER_CLOCK; i++) {
			if (word_load(word)) {
				stop->failed = 0;
				stop->end = host_now();
				return true;
			}
			if (pending && word_load(pending) & IRQ_TAKEN)
				return true;
		}
	} while (host_now() < begin + stop->poll);
	stop->begin = begin;
	stop->poll = 0;
	stop->failed = stop->failed << 1 | 1;
	stop->skip = stop->failed >> FREE_FAILURES;
	return false;
}

/* Called by the scheduler, with interrupts disabled and the run queue locked, for a task that sleeps. */
bool arch_polls_before_idle(void)
{
	struct stop *stop = &current->thread.stop;

	if (get_wasm_home_cpu())
		return false;
	begin_stop(stop);
	/* Who joins does not wait: its waker waits until it is off its CPU. */
	stop->joining = stop->joins;
	stop->joins = false;
	return !stop->joining && (stop->poll || stop->was_short);
}

/*
 * Without that lock. Waits, but never for long, until this CPU has something to do. If all other CPUs are idle,
 * nobody can wake the task but a device or a timer.
 */
void arch_poll_before_idle(const unsigned int *nr_running)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[raw_smp_processor_id()];
	struct stop *stop = &current->thread.stop;
	unsigned int busy = busy_cpus();

	if (busy < 2)
		return;
	if (stop->poll && busy <= auklet_machine.processors &&
	    poll_word(stop, nr_running, &cpu->pending))
		return;
	stop->poll = 0;
	begin_stop(stop);
	/* First the state, then the looks: who adds a task, or raises an interrupt, does that before it looks at the state. */
	word_store(&cpu->state, AUKLET_CPU_WAITS);
	if (!word_load(nr_running) && !(word_load(&cpu->pending) & IRQ_TAKEN))
		futex_wait_word(&cpu->state, AUKLET_CPU_WAITS, LONGEST_STOP_NS);
	word_store(&cpu->state, AUKLET_CPU_KERNEL);
	if (word_load(nr_running))
		end_stop(stop);
}

static void end_wait(struct auklet_cpu *cpu)
{
	if (word_replace(&cpu->state, AUKLET_CPU_WAITS, AUKLET_CPU_KERNEL))
		futex_wake_word(&cpu->state, 1);
}

/*
 * @sleeper is woken from its wait. If the waker has itself just been woken, the two take turns, for which they need no second
 * CPU: on one, a wake-up is none of the host's. A task that waits cannot be taken there, so it does not wait the next time.
 */
static void consider_joining(struct stop *sleeper)
{
	if (sleeper->apart) {
		sleeper->apart--;
	} else if (in_task() && host_now() - current->thread.stop.end < LONGEST_TURN_NS) {
		sleeper->joins = true;
		sleeper->apart = TURNS_APART;
	}
}

/*
 * Another CPU has added @p to the run queue of its CPU, as its current task: it may be in arch_poll_before_idle(). Or it
 * executes by now, and may have moved: then another task's wait is ended early, which may happen at any time.
 */
void arch_end_poll(struct task_struct *p)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[task_cpu(p)];

	smp_mb();
	if (word_load(&cpu->state) == AUKLET_CPU_WAITS)
		consider_joining(&p->thread.stop);
	end_wait(cpu);
}

/* Whether @p sleeps so that it may come to the CPU of the current task, which wakes it. It will. */
bool arch_joins(const struct task_struct *p)
{
	if (!in_task() || !READ_ONCE(p->thread.stop.joining))
		return false;
	current->thread.stop.joining = true;
	return true;
}

/*
 * Whether @p shares a CPU with the task that it takes turns with. An idle CPU would take one of the two away at the next tick, and they
 * would first have to find together again. Who has not slept for a while executes for itself.
 */
bool arch_takes_turns(const struct task_struct *p)
{
	const struct stop *stop = &p->thread.stop;

	return READ_ONCE(stop->joining) && host_now() - READ_ONCE(stop->end) < LONGEST_STOP_NS;
}

/*
 * Where another task sleeps. Only its own worker can ask the engine for its stack, so that one is woken for it and sleeps on:
 * AUKLET_WAKE_TRACE has no effect on a worker that is not asked (any more), and may be lost where the task is woken.
 */
#define TRACE_SIZE	2048
/* trace_request is the address of the worker that is asked, or one of these. */
#define TRACE_NONE	0U
#define TRACE_BEGUN	1U
#define TRACE_DONE	2U

static DEFINE_MUTEX(trace_lock);	/* of who asks */
static u32 trace_request;
static char trace_text[TRACE_SIZE];

static void write_trace(char *text)
{
	text[host_backtrace(text, TRACE_SIZE - 1)] = '\0';
}

/* Without a CPU. */
static void answer_trace_request(const struct auklet_worker *worker)
{
	if (!word_replace(&trace_request, (u32)worker, TRACE_BEGUN))
		return;
	write_trace(trace_text);
	word_store(&trace_request, TRACE_DONE);
}

/* Waits until this worker's task has a CPU. */
static void wait_for_cpu(struct auklet_worker *worker)
{
	u32 wake;

	for (;;) {
		wake = word_exchange(&worker->wake, 0);
		leave_ended_machine();
		if (unlikely(wake == AUKLET_WAKE_TRACE))
			answer_trace_request(worker);
		else if (wake)
			break;
		else
			futex_wait_word(&worker->wake, 0, -1);
	}
	if (wake == AUKLET_WAKE_CANCEL) {
		worker->leave = AUKLET_LEAVE_TASK_GONE;
		__builtin_trap();
	}
	set_cpu_globals(wake - 1);
}

static void hand_over(unsigned int number, struct task_struct *next)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	struct auklet_worker *worker = next->thread.worker;

	if (!worker || next->thread.in_user) {
		/* The CPU's own worker goes on, as the idle task or on behalf of next. */
		word_store(&cpu->switch_to, (u32)next);
		word_or(&cpu->pending, AUKLET_IRQ_SWITCH);
		if (!get_wasm_home_cpu())
			futex_wake_word(&cpu->pending, 1);
		return;
	}
	word_store(&worker->wake, number + 1);
	/* next runs now, and may have ended: it may not be touched any more. */
	futex_wake_word(&worker->wake, 1);
}

/*
 * "sleep_traces" on the command line: keep where every task went to sleep, for show_stack(), which cannot wait, and the host.
 */
static char (*sleep_traces)[TRACE_SIZE];
static bool keep_sleep_traces __initdata;

static int __init want_sleep_traces(char *unused)
{
	keep_sleep_traces = true;
	return 0;
}
early_param("sleep_traces", want_sleep_traces);

static int __init allocate_sleep_traces(void)
{
	if (keep_sleep_traces)
		sleep_traces = vzalloc(sizeof(*sleep_traces) * AUKLET_MAX_WORKERS);
	auklet_machine.sleep_trace_size = TRACE_SIZE;
	auklet_machine.sleep_traces = (u32)sleep_traces;
	return 0;
}
early_initcall(allocate_sleep_traces);

static char *sleep_trace(const struct auklet_worker *worker)
{
	return sleep_traces && worker ? sleep_traces[worker - auklet_machine.worker] : NULL;
}

static void note_sleep(const struct auklet_worker *worker)
{
	char *text = sleep_trace(worker);

	if (text)
		write_trace(text);
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
		/* From here on prev may run elsewhere, or be gone, unless it has frames here that it needs. */
		if (drop)
			wasm_unwind();
		if (coroutine)
			suspend_coroutine(prev);
		else
			serve_own_cpu();
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
	note_sleep(worker);
	begin_stop(&prev->thread.stop);
	/* The idle task is left by an interrupt, which another thread of the host takes: that is no short stop. */
	poll = prev->thread.stop.poll && !is_idle_task(next) &&
	       busy_cpus() < auklet_machine.processors;
	hand_over(cpu, next);
	if (poll)
		poll_word(&prev->thread.stop, &worker->wake, NULL);
	wait_for_cpu(worker);
	end_stop(&prev->thread.stop);
	return prev->thread.switched_from;
}

/* A signal that kills the current task, which runs user code, is pending. */
static bool user_must_die(void)
{
	struct sighand_struct *sighand = current->sighand;
	sigset_t pending;
	bool die = false;
	unsigned long flags;
	int sig;

	if (fatal_signal_pending(current))
		return true;
	/* A tracer decides what becomes of a signal other than SIGKILL. It sees it at the next call. */
	if (!signal_pending(current) || current->ptrace)
		return false;
	spin_lock_irqsave(&sighand->siglock, flags);
	sigorsets(&pending, &current->pending.signal, &current->signal->shared_pending.signal);
	sigandnsets(&pending, &pending, &current->blocked);
	for (sig = 1; sig <= _NSIG && !die; sig++)
		die = sigismember(&pending, sig) &&
		      sighand->action[sig - 1].sa.sa_handler == SIG_DFL &&
		      !sig_kernel_ignore(sig) && !sig_kernel_stop(sig);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return die;
}

/*
 * Moves the current task, whose program must die, from the worker that executes it to a
 * fresh one. That worker then runs the task's exit; the old one keeps its U until
 * it has ended. False if there is no worker now.
 */
static bool move_to_fresh_worker(unsigned int cpu)
{
	struct auklet_worker *old = current->thread.worker;
	struct auklet_worker *fresh = worker_take_for_death();

	if (!fresh)
		return false;
	memory_get(old->memory);
	/* Its exit writes shared mappings back. */
	fresh->memory = old->memory;
	current->thread.worker = fresh;
	current->thread.adopted = true;
	worker_start(fresh, current);
	want_system_call(old, true);
	word_store(&old->state, AUKLET_WORKER_ABANDONED);
	word_add(&old->entry_wake, 1);
	futex_wake_word(&old->entry_wake, 1);
	ring_doorbell(AUKLET_DOORBELL_REAP);
	word_store(&fresh->wake, cpu + 1);
	futex_wake_word(&fresh->wake, 1);
	return true;
}

/* On behalf of current: let it go on in user mode, or do what the scheduler or a signal wants. */
static void return_served_task(void)
{
	unsigned int number = raw_smp_processor_id();
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	struct auklet_worker *worker = current->thread.worker;

	for (;;) {
		local_irq_disable();
		if (test_thread_flag(TIF_NEED_RESCHED)) {
			/* If another task gets the CPU, schedule() does not return. */
			current->thread.in_user = true;
			local_irq_enable();
			schedule();
			current->thread.in_user = false;
			continue;
		}
		if (user_must_die() && move_to_fresh_worker(number))
			return;
		want_system_call(worker, signal_pending(current));
		if (signal_pending(current))
			request_safepoint();
		break;
	}
	word_store(&worker->cpu, number);
	word_store(&cpu->state, (u32)worker);
	if (word_load(&worker->wants_kernel)) {
		word_add(&worker->entry_wake, 1);
		futex_wake_word(&worker->entry_wake, 1);
	}
}

static void serve_interrupt(void *unused)
{
	take_interrupts_of_user();
	return_served_task();
}

static void serve_resume(void *unused)
{
	current->thread.in_user = false;
	schedule_tail(current->thread.switched_from);
	return_served_task();
}

static void serve(struct task_struct *task, void (*function)(void *))
{
	unsigned long idle = get_wasm_current();
	unsigned long stack_pointer = get___stack_pointer();

	set_wasm_current((unsigned long)task);
	set___stack_pointer((unsigned long)task_pt_regs(task));
	wasm_catch_unwind(function, NULL);
	set___stack_pointer(stack_pointer);
	set_wasm_current(idle);
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
}

/* Turns a deadline that has passed into a pending interrupt. */
static bool expire(struct auklet_cpu *cpu, u64 deadline, u64 now)
{
	if (now < deadline)
		return false;
	/* Not if the kernel has set another one meanwhile. */
	if (__atomic_compare_exchange_n(&cpu->deadline, &deadline, AUKLET_NO_DEADLINE, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		word_or(&cpu->pending, AUKLET_IRQ_TIMER);
	return true;
}

/* For a CPU's own worker while it executes kernel code. */
bool check_deadline(void)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[get_wasm_home_cpu() - 1];
	u64 deadline = __atomic_load_n(&cpu->deadline, __ATOMIC_SEQ_CST);

	return deadline != AUKLET_NO_DEADLINE && expire(cpu, deadline, host_now());
}

/*
 * Sleeps until something happens to this worker's own CPU, at most until its timer's deadline;
 * a deadline that has passed becomes a pending interrupt.
 */
static void wait_for_interrupt(struct auklet_cpu *cpu)
{
	u64 deadline, now;
	s64 timeout = -1;
	u32 pending, wait_for = AUKLET_IRQ_SWITCH | AUKLET_IRQ_STOP | AUKLET_IRQ_REARM;

	/*
	 * Who moves the deadline forward stores it, then reads armed. Reset
	 * armed before the deadline is read, and no new deadline is missed.
	 */
	__atomic_store_n(&cpu->armed, AUKLET_NO_DEADLINE, __ATOMIC_SEQ_CST);
	word_and(&cpu->pending, ~AUKLET_IRQ_REARM);
	deadline = __atomic_load_n(&cpu->deadline, __ATOMIC_SEQ_CST);
	if (deadline != AUKLET_NO_DEADLINE) {
		now = host_now();
		if (expire(cpu, deadline, now))
			return;
		timeout = deadline - now;
		__atomic_store_n(&cpu->armed, deadline, __ATOMIC_SEQ_CST);
	}
	/*
	 * In KERNEL, somebody else sees to the interrupts, and looks at the bits when that ends. The
	 * state must be read after the bits that the sleep starts with: an older one may be of before
	 * the CPU went to user mode, and who raised an interrupt since has woken nobody. The same
	 * bits may be taken and raised again meanwhile; WATCHED is gone then.
	 */
	pending = word_or(&cpu->pending, AUKLET_IRQ_WATCHED) | AUKLET_IRQ_WATCHED;
	if (word_load(&cpu->state) != AUKLET_CPU_KERNEL)
		wait_for |= IRQ_TAKEN;
	if (!(pending & wait_for))
		futex_wait_word(&cpu->pending, pending, timeout);
}

/* What a CPU's own worker does while another task has the CPU; returns when the idle task is to run. */
void serve_own_cpu(void)
{
	unsigned int number = get_wasm_home_cpu() - 1;
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	struct task_struct *task;
	u32 pending, state;

	for (;;) {
		pending = word_load(&cpu->pending);
		if (pending & AUKLET_IRQ_STOP)
			leave_ended_machine();
		if (pending & AUKLET_IRQ_SWITCH) {
			word_and(&cpu->pending, ~AUKLET_IRQ_SWITCH);
			task = (struct task_struct *)word_load(&cpu->switch_to);
			if (task == (struct task_struct *)get_wasm_current())
				return;
			if (task->thread.coroutine)
				resume_coroutine(task);
			else
				serve(task, serve_resume);
			continue;
		}
		/*
		 * In KERNEL somebody else polls the bits; when that ends, he looks
		 * at them himself. So only user mode is ours, and who sleeps is woken.
		 */
		state = word_load(&cpu->state);
		if (state != AUKLET_CPU_KERNEL && (pending & IRQ_TAKEN)) {
			if (state == AUKLET_CPU_WAITS)
				end_wait(cpu);
			else if (word_replace(&cpu->state, state, AUKLET_CPU_KERNEL))
				serve((struct task_struct *)((struct auklet_worker *)state)->task,
				      serve_interrupt);
			continue;
		}
		wait_for_interrupt(cpu);
	}
}

void arch_cpu_idle(void)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[raw_smp_processor_id()];
	u32 pending;

	word_store(&cpu->state, AUKLET_CPU_IDLE);
	while (!((pending = word_load(&cpu->pending)) & IRQ_TAKEN)) {
		if (pending & AUKLET_IRQ_STOP)
			leave_ended_machine();
		wait_for_interrupt(cpu);
	}
	word_store(&cpu->state, AUKLET_CPU_KERNEL);
}

/*
 * The current task was moved here to die, and has lost its program. The signal may be gone by now, because another thread
 * took it, or have got a handler, which cannot run.
 */
static void die_of_signal(void)
{
	take_signal(current_pt_regs());
	forget_taken_signal(current);
	force_fatal_sig(SIGKILL);
	take_signal(current_pt_regs());
}

/* Where a pooled worker starts to be a task. */
static void __noreturn task_entry(struct auklet_worker *worker, struct task_struct *task)
{
	struct thread_struct *thread = &task->thread;
	/* For after schedule_tail(), which would store it where the task has no U yet. */
	int __user *child_tid = task->set_child_tid;
	int (*fn)(void *);

	word_store(&worker->state, AUKLET_WORKER_RUNNING);
	wait_for_cpu(worker);
	if (thread->adopted) {
		local_irq_enable();
		if (task->mm)
			host_bind_memory(task->mm->context.memory);
		die_of_signal();
	} else {
		task->set_child_tid = NULL;
		schedule_tail(thread->switched_from);
		fn = thread->fn;
		if (fn) {
			thread->fn = NULL;
			fn(thread->fn_arg);
			/* Only returns after it has executed a program. */
		} else if (thread->fork_source != AUKLET_NO_MEMORY) {
			if (fork_copy_memory(thread->fork_source))
				force_fatal_sig(SIGKILL);
			thread->fork_source = AUKLET_NO_MEMORY;
			complete(thread->fork_done);
			thread->fork_done = NULL;
		} else if (host_bind_memory(task->mm->context.memory)) {
			force_fatal_sig(SIGKILL);
		}
		if (child_tid)
			put_user(task_pid_vnr(task), child_tid);
	}
	local_irq_enable();
	start_user();
}

void run_task(u32 slot)
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
		memory_put(task->thread.exec_memory);
	task->thread.exec_memory = AUKLET_NO_MEMORY;
}

/* What the parent's thread_struct owns is not the child's, also if there is no child in the end. */
int arch_dup_task_struct(struct task_struct *dst, struct task_struct *src)
{
	*dst = *src;
	dst->thread.signal.taken = NULL;
	dst->thread.exec_memory = AUKLET_NO_MEMORY;
	return 0;
}

int copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
	struct auklet_worker *parent = current->thread.worker;
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

	if (args->fn) {
		thread->fn = args->fn;
		thread->fn_arg = args->fn_arg;
		if (args->kthread && auklet_machine.coroutines) {
			thread->coroutine = true;
			return 0;
		}
	} else if (!(args->flags & CLONE_VM)) {
		/* The program must have been unwound for this, by linux.fork, and the frames stay where they are. */
		if (!current->thread.fork_request || args->stack)
			return -EINVAL;
		thread->fork_source = current->mm->context.memory;
		thread->fork_done = current->thread.fork_done;
		p->mm->context.memory = memory_take(auklet_machine.memory[thread->fork_source].pages);
		if (p->mm->context.memory < 0) {
			p->mm->context.memory = AUKLET_NO_MEMORY;
			return -EAGAIN;
		}
		error = dup_areas(p->mm, current->mm);
		if (error)
			return error;
		copy_safepoint(thread->fork_source, p->mm->context.memory);
	} else {
		if (current->thread.fork_request || !args->stack)
			return -EINVAL;
	}

	/*
	 * A worker can ask for memories only before it runs a task. What is made to execute a program gets its U
	 * now: later there may be none that the worker could be bound to. init has
	 * one of those that were there before its worker.
	 */
	will_exec = args->fn ? !args->kthread && current->pid : args->flags & CLONE_VFORK;
	if (will_exec && thread->fork_source == AUKLET_NO_MEMORY) {
		thread->exec_memory = memory_take(0);
		if (thread->exec_memory < 0) {
			thread->exec_memory = AUKLET_NO_MEMORY;
			return -EAGAIN;
		}
	}
	worker = worker_take();
	if (!worker) {
		put_exec_memory(p);
		return -EAGAIN;
	}
	worker->other_memory = thread->fork_source != AUKLET_NO_MEMORY ? thread->fork_source : thread->exec_memory;
	if (!args->fn) {
		worker->memory = p->mm->context.memory;
		worker->module = parent->module;
		if (thread->fork_source != AUKLET_NO_MEMORY) {
			worker->start = AUKLET_START_FORK;
			worker->entry = parent->entry;
			worker->argument = parent->argument;
			worker->fork_buffer = current->thread.fork_buffer;
			worker->globals[AUKLET_GLOBAL_STACK_POINTER] = current->thread.stack_pointer;
			worker->globals[AUKLET_GLOBAL_TLS_BASE] =
				args->flags & CLONE_SETTLS ? args->tls : current->thread.tls_base;
		} else {
			worker->start = AUKLET_START_CLONE;
			worker->entry = AUKLET_START_CLONE;
			worker->argument = args->stack;
			worker->globals[AUKLET_GLOBAL_STACK_POINTER] = args->stack;
			/* Without CLONE_SETTLS the base stays the parent's. */
			worker->globals[AUKLET_GLOBAL_TLS_BASE] =
				args->flags & CLONE_SETTLS ? args->tls : host_program_tls();
		}
		thread->start = WASM_START_PROGRAM;
	}
	current->thread.fork_copies = thread->fork_source != AUKLET_NO_MEMORY;
	thread->worker = worker;
	worker_start(worker, p);
	return 0;
}

/* For a task that ends, or that copy_process() gives up after copy_thread(). */
void exit_thread(struct task_struct *task)
{
	put_exec_memory(task);
	if (task != current && task->thread.worker) {
		worker_cancel(task->thread.worker);
		task->thread.worker = NULL;
		current->thread.fork_copies = false;
	}
}

void flush_thread(void)
{
	forget_taken_signal(current);
}

void arch_release_task_struct(struct task_struct *task)
{
	forget_taken_signal(task);
}

/* Of a thread of the kernel; its stack is suspended, and cannot be asked for. */
unsigned long __get_wchan(struct task_struct *p)
{
	return p->flags & PF_KTHREAD ? (unsigned long)kthread_func(p) ?: (unsigned long)p->thread.fn : 0;
}

/* Whether @task sleeps on its worker, for the @stops-th time. */
static bool sleeps(const struct task_struct *task, unsigned long stops)
{
	u32 state = READ_ONCE(task->__state);

	return state && !(state & TASK_DEAD) && !READ_ONCE(task->on_rq) && !task->thread.in_user &&
		READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw) == stops;
}

/* Waiting as such, which is not what a task waits for: as __sched elsewhere. */
static bool is_wait_primitive(const char *line)
{
	static const char * const prefixes[] = {
		"__schedule", "schedule", "io_schedule", "do_nanosleep", "__mutex_", "mutex_", "ww_mutex_", "rt_mutex_", "__rt_mutex_",
		"rwsem_", "down", "__down", "__wait_for_common", "wait_for_common", "wait_for_completion", "bit_wait", "__wait_on_bit",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(line, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* The engine's lines are "FUNCTION+OFFSET" or "FUNCTION@PLACE", the innermost first. */
static bool name_of_wait(char *text, char *name, size_t size)
{
	bool in_scheduler = false;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line = skip_spaces(line);
		if (is_wait_primitive(line)) {
			in_scheduler = true;
		} else if (in_scheduler) {
			line[strcspn(line, "+@ ")] = '\0';
			return *line && strscpy(name, line, size) > 0;
		}
	}
	return false;
}

bool arch_wait_channel(struct task_struct *task, char *name, size_t size)
{
	struct auklet_worker *worker = READ_ONCE(task->thread.worker);
	unsigned long stops;
	bool found = false;

	if (!worker || task == current)
		return false;
	/* In arch_poll_before_idle(), which is short: its stop is counted when that is over. */
	while (READ_ONCE(task->__state) && !READ_ONCE(task->on_rq) && READ_ONCE(task->on_cpu) &&
	       !fatal_signal_pending(current))
		usleep_range(50, 200);
	stops = READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
	if (!sleeps(task, stops) || mutex_lock_killable(&trace_lock))
		return false;
	word_store(&trace_request, (u32)worker);
	if (word_replace(&worker->wake, 0, AUKLET_WAKE_TRACE)) {
		futex_wake_word(&worker->wake, 1);
		/* It answers, unless it has a CPU by now. Without one it can wake nobody, so its answer is looked for. */
		while (word_load(&trace_request) == (u32)worker && sleeps(task, stops) && !fatal_signal_pending(current))
			usleep_range(50, 200);
	}
	if (!word_replace(&trace_request, (u32)worker, TRACE_NONE)) {
		/* Begun, so it comes to its end: a worker is not stopped in the kernel. */
		while (word_load(&trace_request) != TRACE_DONE)
			usleep_range(50, 200);
		found = sleeps(task, stops) && READ_ONCE(task->thread.worker) == worker &&
			name_of_wait(trace_text, name, size);
	}
	mutex_unlock(&trace_lock);
	return found;
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
	if (regs && regs->syscall_nr != WASM_NO_SYSCALL)
		printk(KERN_DEFAULT "system call %u (%x %x %x %x %x %x) = %d\n",
		       regs->syscall_nr, regs->args[0], regs->args[1], regs->args[2],
		       regs->args[3], regs->args[4], regs->args[5], regs->result);
}

void show_stack(struct task_struct *task, unsigned long *sp, const char *loglvl)
{
	static char text[4096];
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;
	char *line, *rest, *kept;
	int length;

	spin_lock_irqsave(&lock, flags);
	if (task && task != current) {
		kept = sleep_trace(task->thread.worker);
		strscpy(text, kept ?: "(on another worker; boot with sleep_traces to see it)", sizeof(text));
	} else {
		length = host_backtrace(text, sizeof(text) - 1);
		text[clamp_t(int, length, 0, sizeof(text) - 1)] = '\0';
	}
	printk("%sCall trace:\n", loglvl);
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printk("%s %s\n", loglvl, line);
	spin_unlock_irqrestore(&lock, flags);
}

/* A wasm stack cannot be walked from inside; show_stack() asks the engine. */
void arch_stack_walk(stack_trace_consume_fn consume_entry, void *cookie,
		     struct task_struct *task, struct pt_regs *regs)
{
}

void machine_power_off(void)
{
	host_halt(AUKLET_HALT_POWER_OFF);
	local_irq_disable();
	stop_cpu_forever();
}

void machine_halt(void)
{
	machine_power_off();
}

void machine_restart(char *command)
{
	host_halt(AUKLET_HALT_RESTART);
	local_irq_disable();
	stop_cpu_forever();
}

void (*pm_power_off)(void) = machine_power_off;
