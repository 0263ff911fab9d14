// SPDX-License-Identifier: GPL-2.0-only
/*
 * Short stops: what a task's worker does before it gives its CPU away.
 *
 * The computer takes 10 to 30 us to wake a thread that sleeps, longer than most
 * system calls take. A task that waits for another one pays that twice if its
 * CPU goes idle meanwhile. So the worker of a task whose stops are short keeps
 * its CPU for a while, in three steps:
 *
 *  1. It polls, if the last stop was short and a processor is free for that. It
 *     must not take the processor of the task that it waits for. Nothing tells
 *     the kernel that other programs keep the computer busy. But then polls
 *     fail, or a stop is very short without a poll because both threads share a
 *     processor; after either the worker polls less often.
 *  2. It sleeps and still has the CPU (CPU_WAITS). Whoever gives the CPU
 *     something to do ends that sleep.
 *  3. It gives the CPU away.
 *
 * Two tasks that only wait for each other need one CPU, not two: on one, a
 * wake-up costs no thread of the computer. The scheduler moves the sleeper to
 * the CPU of its waker then ("joining").
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/cpumask.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/globals.h>
#include <asm/machine.h>
#include "internal.h"

#define POLLS_PER_CLOCK		64
#define SHORTEST_POLL_NS	(6 * 1000)
#define LONGEST_POLL_NS		(60 * 1000)
/*
 * sysctl_sched_migration_cost: for less, an idle CPU does not look for tasks.
 */
#define LONGEST_STOP_NS		(500 * 1000)
/* Time in which a task that was woken wakes the next, if the two take turns. */
#define LONGEST_TURN_NS		(100 * 1000)
/* Waits between two tries to come to the CPU of the waker. */
#define TURNS_APART		50
/*
 * Polls in a row that may fail before polls are skipped. At first the other
 * task does not poll yet, so its thread takes long to be woken.
 */
#define FREE_FAILURES		5

/*
 * Counts the CPUs that use a processor of the computer: all that are not idle,
 * and idle ones that are about to take an interrupt.
 */
unsigned int wasm_busy_cpus(void)
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

/* Starts the clock of a stop. A poll has its own. */
void wasm_begin_stop(struct stop *stop)
{
	if (!stop->poll && !stop->begin)
		stop->begin = engine_now();
}

/*
 * Ends it, and decides from its length whether the next stop begins with a
 * poll.
 */
void wasm_end_stop(struct stop *stop)
{
	u64 length;

	if (!stop->begin)
		return;
	stop->end = engine_now();
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

/*
 * Polls until @word is not 0, or @pending (which may be NULL) has an interrupt.
 * Returns true then, and false after @stop->poll nanoseconds; the next stops do
 * not poll after that.
 */
bool wasm_poll_word(struct stop *stop, const u32 *word, const u32 *pending)
{
	u64 begin = engine_now();
	unsigned int i;

	do {
		for (i = 0; i < POLLS_PER_CLOCK; i++) {
			if (word_load(word)) {
				stop->failed = 0;
				stop->end = engine_now();
				return true;
			}
			if (pending && word_load(pending) & IRQ_TAKEN)
				return true;
		}
	} while (engine_now() < begin + stop->poll);
	stop->begin = begin;
	stop->poll = 0;
	stop->failed = stop->failed << 1 | 1;
	stop->skip = stop->failed >> FREE_FAILURES;
	return false;
}

/*
 * The scheduler calls this with interrupts disabled and the run queue locked,
 * when current sleeps and nothing else is to run. True: call
 * arch_poll_before_idle() before the CPU goes idle.
 */
bool arch_polls_before_idle(void)
{
	struct stop *stop = &current->thread.stop;

	if (get_wasm_home_cpu())
		return false;
	wasm_begin_stop(stop);
	/*
	 * A task that its waker will pull over must not linger here: the
	 * waker spins until it has left this CPU.
	 */
	stop->joining = stop->joins;
	stop->joins = false;
	return !stop->joining && (stop->poll || stop->was_short);
}

/*
 * The scheduler calls this without the lock. Waits, never for long, until this
 * CPU has something to do. If all other CPUs are idle, only a device or a timer
 * can wake the task, so it does not wait at all.
 */
void arch_poll_before_idle(const unsigned int *nr_running)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[raw_smp_processor_id()];
	struct stop *stop = &current->thread.stop;
	unsigned int busy = wasm_busy_cpus();

	if (busy < 2)
		return;
	if (stop->poll && busy <= auklet_machine.processors &&
	    wasm_poll_word(stop, nr_running, &cpu->pending))
		return;
	stop->poll = 0;
	wasm_begin_stop(stop);
	/*
	 * Publish WAITS before looking for work. A waker queues its task (or
	 * sets its bit) before it reads the state, so one of us sees the other.
	 */
	word_store(&cpu->state, AUKLET_CPU_WAITS);
	if (!word_load(nr_running) && !(word_load(&cpu->pending) & IRQ_TAKEN))
		futex_wait_word(&cpu->state, AUKLET_CPU_WAITS, LONGEST_STOP_NS);
	word_store(&cpu->state, AUKLET_CPU_KERNEL);
	if (word_load(nr_running))
		wasm_end_stop(stop);
}

/* Ends the sleep of a worker that waits with its CPU. */
void wasm_end_wait(struct auklet_cpu *cpu)
{
	if (word_replace(&cpu->state, AUKLET_CPU_WAITS, AUKLET_CPU_KERNEL))
		futex_wake_word(&cpu->state, 1);
}

/*
 * The current task wakes @sleeper from its wait. If current has itself just
 * been woken, the two take turns. A task that waits cannot be taken to another
 * CPU, so @sleeper does not wait the next time.
 */
static void consider_joining(struct stop *sleeper)
{
	if (sleeper->apart) {
		sleeper->apart--;
	} else if (in_task() && engine_now() - current->thread.stop.end < LONGEST_TURN_NS) {
		sleeper->joins = true;
		sleeper->apart = TURNS_APART;
	}
}

/*
 * Another CPU has queued @p, the current task of its CPU, which may be in
 * arch_poll_before_idle(). @p may also execute again by now, or have moved to
 * another CPU. Then this ends the wait of some other task, which is harmless:
 * a wait may end at any time.
 */
void arch_end_poll(struct task_struct *p)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[task_cpu(p)];

	smp_mb();	/* between queueing @p and reading the state */
	if (word_load(&cpu->state) == AUKLET_CPU_WAITS)
		consider_joining(&p->thread.stop);
	wasm_end_wait(cpu);
}

/*
 * True if @p asked to be pulled to the CPU of current, which wakes it. The
 * caller then always does so; current is marked as joined too.
 */
bool arch_joins(const struct task_struct *p)
{
	if (!in_task() || !READ_ONCE(p->thread.stop.joining))
		return false;
	current->thread.stop.joining = true;
	return true;
}

/*
 * True if @p shares a CPU with the task that it takes turns with. An idle CPU
 * would take one of the two away at its next tick, and they would have to find
 * together again. A task that has not slept for a while executes for itself.
 */
bool arch_takes_turns(const struct task_struct *p)
{
	const struct stop *stop = &p->thread.stop;

	return READ_ONCE(stop->joining) && engine_now() - READ_ONCE(stop->end) < LONGEST_STOP_NS;
}
