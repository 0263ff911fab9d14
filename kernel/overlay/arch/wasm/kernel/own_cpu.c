// SPDX-License-Identifier: GPL-2.0-only
/*
 * The own worker of a CPU: the idle task, and interrupts of user code.
 *
 * The own worker executes the CPU's idle task. While another task has the CPU,
 * it stands in the idle task's __switch_to() and is the CPU's interrupt unit:
 * it sleeps on auklet_cpu.pending, with the timer's deadline as the timeout. If
 * it finds the CPU in user mode, it takes it. Then it runs the interrupt as the
 * current task and on that task's kernel stack, which is empty:
 *
 *     idle task ... __switch_to -> wasm_serve_own_cpu -> wasm_catch_unwind
 *       -> [as task t] interrupt -> schedule() -> __switch_to(t, n)
 *
 * When the scheduler wants another task n there, t has no frames worth keeping:
 * n gets the CPU, wasm_unwind() drops the frames, and t is marked in_user. The
 * worker of t goes on with user code undisturbed, and its next system call
 * waits. When t is scheduled again, the own worker of its CPU completes the
 * switch for it.
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/cpu.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <asm/coroutine.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "internal.h"

/* True if a pending signal kills the current task, which executes user code. */
static bool user_must_die(void)
{
	struct sighand_struct *sighand = current->sighand;
	sigset_t pending;
	bool die = false;
	unsigned long flags;
	int sig;

	if (fatal_signal_pending(current))
		return true;
	/*
	 * A tracer decides what becomes of a signal other than SIGKILL. It sees
	 * the signal at the next system call.
	 */
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
 * Moves the current task, whose program must die, from the worker that executes
 * it to a fresh one, which runs the task's exit. The old worker keeps its U
 * until it has ended. False if there is no worker now.
 */
static bool move_to_fresh_worker(unsigned int cpu)
{
	struct auklet_worker *old = current->thread.worker;
	struct auklet_worker *fresh = wasm_worker_take_for_death();

	if (!fresh)
		return false;
	wasm_memory_get(old->memory);
	/* The exit writes shared mappings back from it. */
	fresh->memory = old->memory;
	current->thread.worker = fresh;
	current->thread.adopted = true;
	wasm_worker_start(fresh, current);
	wasm_want_system_call(old, true);
	word_store(&old->state, AUKLET_WORKER_ABANDONED);
	word_add(&old->entry_wake, 1);
	futex_wake_word(&old->entry_wake, 1);
	ring_doorbell(AUKLET_DOORBELL_REAP);
	word_store(&fresh->wake, cpu + 1);
	futex_wake_word(&fresh->wake, 1);
	return true;
}

/*
 * Acts for current: lets it go on in user mode, or does what the scheduler or a
 * signal wants.
 */
static void return_served_task(void)
{
	unsigned int number = raw_smp_processor_id();
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	struct auklet_worker *worker = current->thread.worker;

	for (;;) {
		local_irq_disable();
		if (test_thread_flag(TIF_NEED_RESCHED)) {
			/*
			 * If another task gets the CPU, schedule() does not
			 * return.
			 */
			current->thread.in_user = true;
			local_irq_enable();
			schedule();
			current->thread.in_user = false;
			continue;
		}
		if (user_must_die() && move_to_fresh_worker(number))
			return;
		wasm_want_system_call(worker, signal_pending(current));
		if (signal_pending(current))
			wasm_request_safepoint();
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
	wasm_take_interrupts_of_user();
	return_served_task();
}

static void serve_resume(void *unused)
{
	current->thread.in_user = false;
	schedule_tail(current->thread.switched_from);
	return_served_task();
}

/* Calls @function as @task and on its kernel stack, which is empty. */
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
	/*
	 * The kernel may have set another deadline meanwhile: that one stays.
	 */
	if (__atomic_compare_exchange_n(&cpu->deadline, &deadline, AUKLET_NO_DEADLINE, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		word_or(&cpu->pending, AUKLET_IRQ_TIMER);
	return true;
}

/*
 * For the own worker of a CPU while it executes kernel code:
 * nobody else waits for the deadline.
 */
bool wasm_check_deadline(void)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[get_wasm_home_cpu() - 1];
	u64 deadline = __atomic_load_n(&cpu->deadline, __ATOMIC_SEQ_CST);

	return deadline != AUKLET_NO_DEADLINE && expire(cpu, deadline, engine_now());
}

/*
 * Sleeps until something happens to the CPU of this worker, at most until the
 * deadline of its timer. A deadline that has passed becomes a pending
 * interrupt.
 */
static void wait_for_interrupt(struct auklet_cpu *cpu)
{
	u64 deadline, now;
	s64 timeout = -1;
	u32 pending, wait_for = AUKLET_IRQ_SWITCH | AUKLET_IRQ_STOP | AUKLET_IRQ_REARM;

	/*
	 * A CPU that moves the deadline forward stores it, then reads armed.
	 * Reset armed before reading the deadline, so no new deadline is
	 * missed.
	 */
	__atomic_store_n(&cpu->armed, AUKLET_NO_DEADLINE, __ATOMIC_SEQ_CST);
	word_and(&cpu->pending, ~AUKLET_IRQ_REARM);
	deadline = __atomic_load_n(&cpu->deadline, __ATOMIC_SEQ_CST);
	if (deadline != AUKLET_NO_DEADLINE) {
		now = engine_now();
		if (expire(cpu, deadline, now))
			return;
		timeout = deadline - now;
		__atomic_store_n(&cpu->armed, deadline, __ATOMIC_SEQ_CST);
	}
	/*
	 * In KERNEL another worker takes the interrupts: it looks at the bits
	 * before it leaves for user mode. Read the state after the bits that
	 * the sleep compares with. An older state may be KERNEL although the
	 * CPU is in user mode by now, and an interrupt raised in between has
	 * woken nobody. If the same bits are taken and raised again meanwhile,
	 * WATCHED is gone, and the sleep does not begin.
	 */
	pending = word_or(&cpu->pending, AUKLET_IRQ_WATCHED) | AUKLET_IRQ_WATCHED;
	if (word_load(&cpu->state) != AUKLET_CPU_KERNEL)
		wait_for |= IRQ_TAKEN;
	if (!(pending & wait_for))
		futex_wait_word(&cpu->pending, pending, timeout);
}

/*
 * What the own worker does while another task has its CPU. Returns when the
 * idle task is to run.
 */
void wasm_serve_own_cpu(void)
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
				wasm_resume_coroutine(task);
			else
				serve(task, serve_resume);
			continue;
		}
		/*
		 * In KERNEL another worker polls the bits, and looks at them
		 * before it leaves. A worker that waits with the CPU is woken.
		 * So only interrupts of user mode are taken here.
		 */
		state = word_load(&cpu->state);
		if (state != AUKLET_CPU_KERNEL && (pending & IRQ_TAKEN)) {
			if (state == AUKLET_CPU_WAITS)
				wasm_end_wait(cpu);
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
