// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol of CPU tokens, for the model checker spin: tests/model/run checks it exhaustively.
 *
 * It follows the functions of kernel/model/modelled.list (tests/tools/modelled.py holds the two together), and
 * web/src/guest/task-worker.ts, statement by statement where they touch a word that two agents share; an inline has the
 * name of the function that it models. One Promela statement is one atomic operation, and all of them are sequentially
 * consistent, as the kernel's are. What Linux does under the lock of a run queue is one step.
 *
 * Everything is bounded: TASKS tasks, CALLS system calls in each, TICKS interrupts for nothing, one task that is
 * killed. When nothing can happen any more, what must be true is in quiescence() at the end of this file; what must be
 * true always is asserted where it happens.
 *
 * -DBREAK_... takes one essential step out of the protocol, to show that the properties notice. STALE_STATE,
 * MEMORY_PUT, TASK_FREED and NEXT_FREED are what the kernel did until this model found them.
 */

#ifndef CPUS
#define CPUS	1	/* 1 or 2 */
#endif
#ifndef TASKS
#define TASKS	2	/* 1 to 3; the last one is a kernel thread without a worker if KTHREAD is 1 */
#endif
#ifndef KTHREAD
#define KTHREAD	0
#endif
#ifndef KILL
#define KILL	1	/* task 0 makes its calls, then runs for ever, and is killed at any time */
#endif
#ifndef REAPER
#define REAPER	KILL	/* the host ends abandoned workers; otherwise one may run user code for ever */
#endif
#ifndef CALLS
#define CALLS	1	/* system calls of a program, before the one that ends it */
#endif
#ifndef SLEEPS
#define SLEEPS	0	/* system calls that wait for a timer instead of a device */
#endif
#ifndef WAITS
#define WAITS	1	/* system calls may wait for a device */
#endif
#ifndef MOVES
#define MOVES	1	/* how often a task that could run is moved to the other of two CPUs */
#endif
#ifndef POLLS
#define POLLS	0	/* a task that sleeps may keep its idle CPU for a while */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS	0	/* its sleep may end by itself */
#endif
#ifndef ASKS
#define ASKS	0	/* how often a worker is asked where its task sleeps */
#endif
#ifndef TICKS
#define TICKS	1	/* interrupts without a cause, which may preempt */
#endif

#define IS_KTHREAD(t)	(KTHREAD && t == TASKS - 1)
/* Does not end by itself. */
#define IMMORTAL(task)	(KILL && task == 0)

#define PROGRAMS	(TASKS - KTHREAD)
/* One worker for each program, and one for the task that is killed. */
#define WORKERS		(PROGRAMS + KILL)

/* auklet_cpu.state */
#define CPU_KERNEL	0
#define CPU_IDLE	1
#define CPU_WAITS	2
#define CPU_USER(w)	((w) + 3)

/* auklet_cpu.pending. RESCHEDULE, CALL, WORK and DEVICE differ in their handlers only. */
#define IRQ_OTHER	1
#define IRQ_TIMER	2
#define IRQ_SWITCH	4
#define IRQ_REARM	8
#define IRQ_WATCHED	16
#define IRQ_TAKEN	(IRQ_OTHER | IRQ_TIMER)
#define ALL_BITS	31

/* auklet_worker.state */
#define WORKER_EMPTY		0
#define WORKER_IDLE		1
#define WORKER_ASSIGNED		2
#define WORKER_RUNNING		3
#define WORKER_ABANDONED	4
#define WORKER_TERMINATING	5
#define WORKER_CLAIMED		6

/* auklet_worker.wake, if it is no CPU + 1 */
#define WAKE_TRACE	254

#define IDLE_TASK	TASKS
#define NO_TASK		(TASKS + 1)
#define NO_WORKER	WORKERS
#define NEVER		255
#define LAST_TIME	2

/* struct auklet_cpu */
byte state[CPUS] = CPU_KERNEL;
byte pending[CPUS];
byte switch_to[CPUS] = NO_TASK;
#if SLEEPS
byte deadline[CPUS] = NEVER;
byte armed[CPUS] = NEVER;
byte now;
#endif

/* struct auklet_worker */
byte worker_state[WORKERS];
byte worker_task[WORKERS];
byte wake[WORKERS];
byte worker_cpu[WORKERS];
bool wants_kernel[WORKERS];
/*
 * entry_wake is a counter that its one waiter compares with what it has read last: so it is
 * enough to know whether it was bumped since.
 */
bool entry_wake_bumped[WORKERS];

/* The tasks, and a scheduler that may do whatever Linux's could. */
byte task_worker[TASKS] = NO_WORKER;
bool runnable[TASKS];
bool on_cpu[TASKS];
bool in_user[TASKS];
bool adopted[TASKS];
byte current[CPUS] = IDLE_TASK;
bool polling[CPUS];
byte switched_from[CPUS] = NO_TASK;
bool need_resched[CPUS];
#if CPUS > 1
byte moves = MOVES;
#endif
#define IO_NONE		0
#define IO_REQUESTED	1	/* the device, or the timer, has to complete it */
#define IO_DONE		2	/* completed; the interrupt has to wake the task */
byte io[TASKS];
#if KTHREAD
byte coroutine_calls = CALLS;
#endif
#if SLEEPS
byte expires[TASKS] = NEVER;
#endif
bool signalled[TASKS];	/* a fatal signal is pending */
bool dead[TASKS];		/* TASK_DEAD */

/* Who waits on which futex. Each word has one waiter at most, so notifying is one bit. */
bool cpu_asleep[CPUS];		/* the CPU's own worker, on auklet_cpu.pending */
#define AWAKE		0
#define ON_STATE	1
#define ON_WAKE		2
#define ON_ENTRY_WAKE	3
#define ON_CPU_STATE	4	/* auklet_cpu.state, of the CPU that the worker is */
byte asleep[WORKERS];

/* What no code reads: who executes as a CPU, and what became of tasks, memories and workers. */
#define NOBODY		0
#define OWN(c)		((c) + 1)
#define WORKER(w)	((w) + CPUS + 1)
byte owner[CPUS] = NOBODY;
bool freed[TASKS];		/* task_struct and kernel stack are somebody else's now */
byte memory_users[TASKS];	/* auklet_memory.users of the task's U */
byte abandoned;
byte released;
bool doomed[WORKERS];		/* the host ends the worker; it goes on for a while */
bool terminated[WORKERS];

#define acquire(c, who)	assert(owner[c] == NOBODY); owner[c] = who
#define release(c, who)	assert(owner[c] == who); owner[c] = NOBODY
#define executes_as(c, who)	assert(owner[c] == who)
/* The task's kernel stack or task_struct is used. */
#define touch(t)	assert(!freed[t])

/* ---- words ----------------------------------------------------------------------------------- */

/* A compare-exchange of auklet_cpu.state that makes the caller the CPU if it succeeds. */
inline take_cpu(c, w, who) {
	if
	:: state[c] == CPU_USER(w) -> state[c] = CPU_KERNEL; acquire(c, who); taken = true
	:: else -> taken = false
	fi
}

/* The store to auklet_cpu.state that gives the CPU to worker w's program. */
inline store_user(c, w, who) {
	atomic {
		release(c, who);
#if CPUS > 1
		assert(state[1 - c] != CPU_USER(w));
#endif
		state[c] = CPU_USER(w)
	}
}

/* memory.atomic.notify; one that finds nobody asleep does nothing. */
inline notify_cpu(sleeper) {
	cpu_asleep[sleeper] = false
}

/*
 * The same for a worker's words. Here the store and the notification are one step: the waiter does not fall
 * asleep on a value that is gone, and none of these words comes back to a value while somebody may still mean the old one.
 */
inline notify_worker(w, word) {
	if
	:: asleep[w] == word -> asleep[w] = AWAKE
	:: else
	fi
}

/* ---- interrupts ------------------------------------------------------------------------------- */

/*
 * smp.c, and MachineState::raise() of the host. The look at the state and the notification are one step: a later one could wake more, never less.
 */
inline wasm_raise_interrupt(number) {
#ifdef BREAK_RAISE_ORDER
	/* Looks at the state before the bit is there. */
	notify = (state[number] != CPU_KERNEL);
	atomic {
		pending[number] = pending[number] | IRQ_OTHER;
		if
		:: notify -> notify = false; notify_cpu(number)
		:: else
		fi
	}
#else
	pending[number] = pending[number] | IRQ_OTHER;
	if
	:: atomic { state[number] != CPU_KERNEL -> notify_cpu(number) }
	:: state[number] == CPU_KERNEL
	fi
#endif
}

/* resched_curr() for a task that became runnable; whether the current one is preempted is the scheduler's secret. */
inline resched(c, x) {
	if
	:: need_resched[x] = true; ipi = ipi || x != c
	:: !SLEEPS && current[x] != IDLE_TASK
	fi
}

/* short_stop.c: wakes the worker that sleeps as CPU x. */
inline wasm_end_wait(x) {
	atomic {
		if
		:: state[x] == CPU_WAITS ->
			state[x] = CPU_KERNEL;
			notify_worker(task_worker[current[x]], ON_CPU_STATE)
		:: else
		fi
	}
}

/* try_to_wake_up() */
inline wake_task(t, c) {
	if
#if POLLS && CPUS > 1
	/* ttwu_polling(), and the first half of arch_end_poll() */
	:: io[t] == IO_DONE && polling[1 - c] && current[1 - c] == t ->
		io[t] = IO_NONE;
		runnable[t] = true;
#ifndef BREAK_WAITS_WAKE
		end_poll = true
#endif
#endif
	/* Where another CPU is still switching away from it, Linux waits for that, too. */
	:: io[t] == IO_DONE && !on_cpu[t] ->
		io[t] = IO_NONE;
		runnable[t] = true;
		if
		:: resched(c, 0)
#if CPUS > 1
		:: !IS_KTHREAD(t) -> resched(c, 1)
#endif
		fi
	:: io[t] != IO_DONE
	fi
}

#if SLEEPS
/* clock_event_next(); own: the CPU's own worker executes this. */
inline clock_event_next(c, own) {
	deadline[c] = time;
	if
	:: !own && time < armed[c] ->
#ifndef BREAK_REARM
		pending[c] = pending[c] | IRQ_REARM;
		notify_cpu(c)
#endif
	:: else
	fi
}

inline expire_timer(t) {
	if
	:: expires[t] <= now -> expires[t] = NEVER; io[t] = IO_DONE
	:: else
	fi
}

#if TASKS > 1
#define EARLIEST	(expires[0] < expires[1] -> expires[0] : expires[1])
#else
#define EARLIEST	expires[0]
#endif
#endif

/* The handlers of all interrupts. */
inline handle_interrupts(c, who) {
	executes_as(c, who);
#if SLEEPS
	time = NEVER;
	if
	:: bits & IRQ_TIMER ->
		expire_timer(0);
#if TASKS > 1
		expire_timer(1);
#endif
		time = EARLIEST
	:: else
	fi;
#endif
	wake_task(0, c);
#if TASKS > 1
	wake_task(1, c);
#endif
#if TASKS > 2
	wake_task(2, c);
#endif
	/* The scheduler's tick. */
	if
	:: current[c] != IDLE_TASK -> need_resched[c] = true
	:: true
	fi
}

/*
 * entry.c. The caller executes as the CPU, with interrupts disabled. Reading the bits, clearing them and the handlers are
 * one step: a bit that is raised between them is one that is raised after them.
 */
inline take_interrupts(c, who, own) {
	do
	:: atomic {
			!ipi && !end_poll && (pending[c] & IRQ_TAKEN) ->
			bits = pending[c] & IRQ_TAKEN;
#ifdef BREAK_WATCHED
			pending[c] = pending[c] & (ALL_BITS ^ bits);
#else
			/* Own worker: if the same interrupt is raised again, this is not the word that you meant to sleep on. */
			pending[c] = pending[c] & (ALL_BITS ^ (bits | IRQ_WATCHED));
#endif
			handle_interrupts(c, who);
			bits = 0
		}
#if SLEEPS
		if
		:: time != NEVER -> clock_event_next(c, own)
		:: else
		fi;
		time = 0
#endif
#if CPUS > 1
	:: ipi -> ipi = false; wasm_raise_interrupt(1 - c)
	:: end_poll -> end_poll = false; wasm_end_wait(1 - c)
	:: !ipi && !end_poll && !(pending[c] & IRQ_TAKEN) -> break
#else
	:: !(pending[c] & IRQ_TAKEN) -> break
#endif
	od
}

/* Enabling interrupts takes those that are pending. */
#define wasm_poll_interrupts(c, who, own)	take_interrupts(c, who, own)

/* ---- the scheduler ------------------------------------------------------------------------------ */

/* A coroutine stays on the CPU that it began on. */
#define CAN_RUN(t, c, prev)	(runnable[t] && (t == prev || !on_cpu[t]) && !(IS_KTHREAD(t) && c != 0))

/* __schedule() until context_switch(): next is the task that gets the CPU, prev itself if it stays. */
inline pick_next(c, prev, who) {
	executes_as(c, who);
	need_resched[c] = false;
	if
#if SLEEPS && TASKS > 1
	/* Its timer must come in time for task 1, while task 0 runs user code: so that has priority. */
	:: CAN_RUN(0, c, prev) && !CAN_RUN(1, c, prev) -> next = 0
#else
	:: CAN_RUN(0, c, prev) -> next = 0
#endif
#if TASKS > 1
	:: CAN_RUN(1, c, prev) -> next = 1
#endif
#if TASKS > 2
	:: CAN_RUN(2, c, prev) -> next = 2
#endif
#if CPUS > 1
	/* A task that is moved to the other CPU while it could run. */
	:: moves > 0 && prev != IDLE_TASK && runnable[prev] && !IS_KTHREAD(prev) -> moves--; next = IDLE_TASK
#endif
	:: else -> next = IDLE_TASK
	fi;
	if
	:: next != prev ->
		current[c] = next;
		switched_from[c] = prev;
		if
		:: next != IDLE_TASK -> on_cpu[next] = true
		:: else
		fi
	:: else
	fi
}

/* The same for a task that waits for a device or the time. That it is not woken before it sleeps is Linux's care. */
inline sleep_and_pick_next(c, prev, who) {
	io[prev] = IO_REQUESTED;
	runnable[prev] = false;
	pick_next(c, prev, who)
}

#if POLLS
/*
 * arch_polls_before_idle() and arch_poll_before_idle(): the task sleeps, and its worker does, too, before its CPU is given to another task. In
 * truth that ends after a while by itself; here only where TIMEOUTS says so, or else nobody would notice a wake-up that is lost.
 */
inline poll_before_idle() {
	atomic { io[task] = IO_REQUESTED; runnable[task] = false; polling[cpu] = true };
#ifdef BREAK_WAITS_ORDER
	/* Looks before its state is there. */
	taken = runnable[task] || (pending[cpu] & IRQ_TAKEN);
	state[cpu] = CPU_WAITS;
	if
	:: taken -> taken = false
#else
	state[cpu] = CPU_WAITS;
	if
	:: runnable[task]
	:: !runnable[task] && (pending[cpu] & IRQ_TAKEN)
#endif
	:: else ->
		atomic {
			if
			:: state[cpu] == CPU_WAITS -> asleep[w] = ON_CPU_STATE
			:: else
			fi
		}
		if
		:: asleep[w] != ON_CPU_STATE
#if TIMEOUTS
		:: asleep[w] = AWAKE
#endif
		fi
	fi;
	executes_as(cpu, WORKER(w));
	state[cpu] = CPU_KERNEL
}
#endif

/* The same for a task that is dead. */
inline die_and_pick_next(c, prev, who) {
	dead[prev] = true;
	runnable[prev] = false;
	pick_next(c, prev, who)
}

/* The new task, executing as the CPU, is done with the old one: others may run it now, or free it. */
inline finish_task_switch(c, who) {
	executes_as(c, who);
	if
	:: switched_from[c] < IDLE_TASK ->
		on_cpu[switched_from[c]] = false;
#if CPUS > 1
		if
		:: current[c] == IDLE_TASK && runnable[switched_from[c]] -> ipi = true; need_resched[1 - c] = true
		:: else
		fi;
#endif
		freed[switched_from[c]] = dead[switched_from[c]]
	:: else
	fi;
	switched_from[c] = NO_TASK
}

/* process.c. own: the caller is the CPU's own worker. After this it must not execute as the CPU. */
inline hand_over(c, who, own) {
	if
	:: next == IDLE_TASK || task_worker[next] == NO_WORKER || in_user[next] ->
		atomic {
#ifndef BREAK_SWITCH_ORDER
			switch_to[c] = next;
#endif
			release(c, who);
			pending[c] = pending[c] | IRQ_SWITCH;
#ifndef BREAK_SWITCH_NOTIFY
			if
			:: !own -> notify_cpu(c)
			:: else
			fi
#endif
		}
#ifdef BREAK_SWITCH_ORDER
		switch_to[c] = next;
#endif
	:: else ->
		atomic {
			release(c, who);
			wake[task_worker[next]] = c + 1;
			notify_worker(task_worker[next], ON_WAKE)
		}
#ifdef BREAK_NEXT_FREED
		/* Reads next->thread.worker again, for the notification. */
		touch(next)
#endif
	fi;
	next = 0
}

/* auklet_memory.users; at 0 another process may have the memory. */
inline wasm_memory_put(id) {
	assert(memory_users[id] > 0);
	memory_users[id]--
}

/* ---- pooled workers ------------------------------------------------------------------------------ */

/*
 * process.c: waits until this worker's task has a CPU, and is that CPU. Here, and where a worker is parked, looking at
 * the word and falling asleep on the value seen are one step: another value ends the wait at once.
 */
inline wait_for_cpu() {
	do
	:: atomic {
			wake[w] != 0 && wake[w] != WAKE_TRACE ->
			cpu = wake[w] - 1;
			wake[w] = 0;
			acquire(cpu, WORKER(w));
			touch(task);
			/* Not after a move to a fresh worker: there was no switch. */
			finish_task_switch(cpu, WORKER(w))
		}
		break
#if ASKS
	/* One exchange, or the number of a CPU could be lost. */
	:: atomic { wake[w] == WAKE_TRACE -> wake[w] = 0 }
#endif
	:: atomic { wake[w] == 0 -> asleep[w] = ON_WAKE }
		asleep[w] != ON_WAKE
	od
}

/*
 * One slot of the pool. cpu is the wasm global wasm_cpu, the number of the CPU that this worker acts as: stale when
 * its task was moved while it ran user code.
 */
proctype worker(byte w) {
	byte task, cpu, next, bits, calls;
	bool taken, ipi, notify, end_poll;
#if SLEEPS
	byte time;
#endif

	goto parked;

park:
	/* parkForever() in task-worker.ts */
	atomic { worker_state[w] = WORKER_IDLE; task = 0; cpu = 0; calls = 0 };
parked:
	do
	:: atomic {
			worker_state[w] == WORKER_ASSIGNED ->
			/* wasm_run_task(), task_entry() */
			task = worker_task[w];
			calls = (IMMORTAL(task) -> (SLEEPS -> 0 : CALLS) : CALLS + 1);
			worker_state[w] = WORKER_RUNNING
		}
		break
	:: atomic { worker_state[w] != WORKER_ASSIGNED -> asleep[w] = ON_STATE }
		if
		:: asleep[w] != ON_STATE
		:: doomed[w] -> goto ended
		fi
	od;
	wait_for_cpu();
	wasm_poll_interrupts(cpu, WORKER(w), false);
	if
	:: adopted[task] -> goto exit
	:: else -> goto give_cpu_to_user	/* wasm_start_user() */
	fi;

user:
	if
	:: calls > 0 -> calls--
	:: doomed[w] -> goto ended
	fi;

	/* enter_kernel() */
	atomic {
		assert(memory_users[task] > 0);
		take_cpu(cpu, w, WORKER(w));
		assert(!taken || (current[cpu] == task && !freed[task]))
	}
	if
	:: taken
	:: else ->
		/* enter_kernel_slow() */
#ifndef BREAK_WANTS_ORDER
		wants_kernel[w] = true;
#endif
		do
		:: entry_wake_bumped[w] = false;	/* seen = entry_wake */
#ifdef BREAK_RELEASE_TWICE
			taken = (worker_state[w] == WORKER_ABANDONED);
			if
			:: taken -> worker_state[w] = WORKER_RUNNING
			:: else
			fi;
#else
			atomic {
				taken = (worker_state[w] == WORKER_ABANDONED);
				if
				:: taken -> worker_state[w] = WORKER_RUNNING
				:: else
				fi
			}
#endif
			if
			:: taken -> goto gone
			:: else
			fi;
			next = worker_cpu[w];
			atomic {
				take_cpu(next, w, WORKER(w));
				assert(!taken || (current[next] == task && !freed[task]))
			}
			if
			:: taken -> break
			:: else
			fi;
#ifdef BREAK_WANTS_ORDER
			wants_kernel[w] = true;
#endif
#ifdef BREAK_ENTRY_SEEN
			entry_wake_bumped[w] = false;
#endif
			atomic {
				if
				:: !entry_wake_bumped[w] -> asleep[w] = ON_ENTRY_WAKE
				:: else
				fi
			}
			if
			:: asleep[w] != ON_ENTRY_WAKE
			:: doomed[w] -> goto ended
			fi
		od;
		atomic { wants_kernel[w] = false; cpu = next; next = 0 }
	fi;

	/* wasm_syscall() */
	taken = false;
	wasm_poll_interrupts(cpu, WORKER(w), false);
	if
	:: calls == 0 && !IMMORTAL(task) -> goto exit
	:: (calls > 0 || IMMORTAL(task)) -> goto give_cpu_to_user
	:: (calls > 0 || IMMORTAL(task)) && WAITS -> skip
	fi;
#if SLEEPS
	atomic {
		expires[task] = (now < LAST_TIME -> now + 1 : now);
		time = EARLIEST
	}
	clock_event_next(cpu, false);
	time = 0;
#endif
#if POLLS
	poll_before_idle();
	atomic { polling[cpu] = false; pick_next(cpu, task, WORKER(w)) }
#else
	atomic { sleep_and_pick_next(cpu, task, WORKER(w)) }
#endif

switch_away:	/* __switch_to() */
	if
	:: next != task ->
		hand_over(cpu, WORKER(w), false);
		wait_for_cpu()
	:: else -> next = 0
	fi;
	wasm_poll_interrupts(cpu, WORKER(w), false);

give_cpu_to_user:
	if
	:: signalled[task] -> goto exit
	:: atomic {
			!signalled[task] && need_resched[cpu] ->
			pick_next(cpu, task, WORKER(w))
		}
		goto switch_away
	:: atomic {
			!signalled[task] && !need_resched[cpu] ->
#ifndef BREAK_CPU_ORDER
			worker_cpu[w] = cpu
#endif
		}
	fi;
	store_user(cpu, w, WORKER(w));
#ifdef BREAK_CPU_ORDER
	worker_cpu[w] = cpu;
#endif
#ifndef BREAK_EXIT_CHECK
	if
	:: pending[cpu] & IRQ_TAKEN ->
#ifdef BREAK_EXIT_EXCHANGE
		/* Takes the CPU back by a store. */
		atomic { state[cpu] = CPU_KERNEL; acquire(cpu, WORKER(w)); taken = true }
#else
		atomic { take_cpu(cpu, w, WORKER(w)) }
#endif
		if
		:: taken ->
			taken = false;
			take_interrupts(cpu, WORKER(w), false);
			goto give_cpu_to_user
		:: else
		fi
	:: else
	fi;
#endif
#ifdef BREAK_TASK_FREED
	/* wasm_leave_kernel() asks the task where its kernel stack is. */
	touch(task);
#endif
	goto user;

exit:
	/* do_exit(); the next task frees this one. */
	atomic {
		wasm_memory_put(task);
		die_and_pick_next(cpu, task, WORKER(w))
	}
	hand_over(cpu, WORKER(w), false);
	goto park;

gone:
	/* The program is gone with a task that somebody else takes to its end. */
	wants_kernel[w] = false;
	atomic {
		released++;
#ifdef BREAK_MEMORY_PUT
		/* Whoever waits for a free memory is woken by functions of Linux, which need a CPU and a task. */
		assert(memory_users[task] > 1);
#endif
		wasm_memory_put(task);
		taken = false
	}
	goto park;

ended:
	terminated[w] = true
}

/* ---- a CPU's own worker ---------------------------------------------------------------------------- */

/* own_cpu.c: sleeps until something happens to this worker's own CPU. */
inline wait_for_interrupt() {
#if SLEEPS
	armed[c] = NEVER;
	pending[c] = pending[c] & (ALL_BITS ^ IRQ_REARM);
	time = deadline[c];
	if
	:: time != NEVER && now >= time ->
		/* expire() */
		atomic {
			taken = (deadline[c] == time);
			if
			:: taken -> deadline[c] = NEVER
			:: else
			fi
		}
		if
		:: taken -> pending[c] = pending[c] | IRQ_TIMER
		:: else
		fi;
		atomic { taken = false; time = 0 }
		goto waited
	:: time != NEVER && now < time -> armed[c] = time
	:: time == NEVER
	fi;
#endif
#ifdef BREAK_STALE_STATE
	/* What to wait for was decided before, by the state that wasm_serve_own_cpu saw. */
	expected = pending[c];
#else
	/*
	 * First the bits, then the state. If that is KERNEL now, whoever leaves it will see these bits, or has taken
	 * them before, and then WATCHED is gone.
	 */
	atomic { pending[c] = pending[c] | IRQ_WATCHED; expected = pending[c] };
	seen = state[c];
#endif
#ifdef BREAK_WAITS_INTERRUPT
	/* Who sleeps as the CPU is taken for somebody who will see to the interrupts. */
	seen = (seen == CPU_WAITS -> CPU_KERNEL : seen);
#endif
	if
	:: (expected & (IRQ_SWITCH | IRQ_REARM)) || ((expected & IRQ_TAKEN) && seen != CPU_KERNEL)
	:: else ->
		atomic {
			if
			:: pending[c] == expected -> cpu_asleep[c] = true
			:: else
			fi;
			expected = 0;
			seen = 0
		}
#if SLEEPS
		if
		:: !cpu_asleep[c]
		:: atomic { time != NEVER && now >= time -> cpu_asleep[c] = false }
		fi;
		time = 0
#else
		!cpu_asleep[c]
#endif
	fi
}

/*
 * The idle task and the interrupt unit of CPU c. It executes as the CPU from "idle" on, and in what it does on behalf
 * of a task; in wasm_serve_own_cpu somebody else does.
 */
proctype own_worker(byte c) {
	byte task, next, w, fresh, bits, expected, seen;
	bool taken, ipi, notify, end_poll, in_idle;
#if SLEEPS
	byte time;
#endif

	acquire(c, OWN(c));

idle:
	/* do_idle() */
	if
	:: atomic { need_resched[c] -> pick_next(c, IDLE_TASK, OWN(c)) }
		if
		:: next == IDLE_TASK -> next = 0; goto idle
		:: else -> hand_over(c, OWN(c), true); goto wasm_serve_own_cpu
		fi
	:: !need_resched[c]
	fi;
	/* arch_cpu_idle() */
#ifndef BREAK_IDLE_STATE
	state[c] = CPU_IDLE;
#endif
	in_idle = true;
arch_cpu_idle:
	if
	:: pending[c] & IRQ_TAKEN
	:: else ->
#ifdef BREAK_STALE_STATE
		seen = CPU_IDLE;
#endif
		goto wait
	fi;
	atomic { state[c] = CPU_KERNEL; in_idle = false };
	wasm_poll_interrupts(c, OWN(c), true);
	goto idle;

wait:
	wait_for_interrupt();
waited:
	if
	:: in_idle -> goto arch_cpu_idle
	:: else -> skip
	fi;

wasm_serve_own_cpu:
	expected = pending[c];
	if
	:: expected & IRQ_SWITCH ->
		atomic {
			expected = 0;
			pending[c] = pending[c] & (ALL_BITS ^ IRQ_SWITCH);
			acquire(c, OWN(c));
			task = switch_to[c];
			switch_to[c] = NO_TASK;
			finish_task_switch(c, OWN(c));
			if
			:: task != IDLE_TASK -> in_user[task] = false
			:: else
			fi
		}
		wasm_poll_interrupts(c, OWN(c), true);
		if
		:: task == IDLE_TASK -> task = 0; goto idle
#if KTHREAD
		:: task != IDLE_TASK && IS_KTHREAD(task) -> goto coroutine
#endif
		:: task != IDLE_TASK && !IS_KTHREAD(task) -> goto return_served_task	/* serve_resume() */
		fi
	:: else
	fi;
	seen = state[c];
	if
#if POLLS && !defined(BREAK_WAITS_INTERRUPT)
	:: seen == CPU_WAITS && (expected & IRQ_TAKEN) -> wasm_end_wait(c); expected = 0; seen = 0; goto wasm_serve_own_cpu
#endif
	:: seen != CPU_KERNEL && seen != CPU_WAITS && (expected & IRQ_TAKEN)
	:: else -> goto wait
	fi;
	atomic {
		w = seen - CPU_USER(0);
		expected = 0;
		seen = 0;
#ifdef BREAK_TAKE_EXCHANGE
		/* Takes the CPU by a store. */
		state[c] = CPU_KERNEL;
		acquire(c, OWN(c));
		taken = true
#else
		take_cpu(c, w, OWN(c))
#endif
		if
		:: taken ->
			task = worker_task[w];
			w = 0;
			touch(task);
			assert(current[c] == task)
		:: else -> w = 0
		fi
	}
	if
	:: taken -> taken = false
	:: else -> goto wasm_serve_own_cpu
	fi;
	/* serve_interrupt() */
	take_interrupts(c, OWN(c), true);

return_served_task:
	if
	:: atomic {
			need_resched[c] ->
#ifndef BREAK_IN_USER
			in_user[task] = true;
#endif
			pick_next(c, task, OWN(c));
			if
			:: next == task -> in_user[task] = false
			:: else
			fi
		}
		if
		:: next != task ->
			task = 0;
			hand_over(c, OWN(c), true);
			/* wasm_unwind() */
			goto wasm_serve_own_cpu
		:: else -> next = 0; goto return_served_task
		fi
	:: !need_resched[c] && signalled[task] -> goto move_to_fresh_worker
	:: atomic {
			!need_resched[c] && !signalled[task] ->
			w = task_worker[task];
			task = 0;
#ifndef BREAK_CPU_ORDER
			worker_cpu[w] = c
#endif
		}
	fi;
	store_user(c, w, OWN(c));
#ifdef BREAK_CPU_ORDER
	worker_cpu[w] = c;
#endif
#ifndef BREAK_WANTS_CHECK
	if
	:: wants_kernel[w] ->
		atomic { entry_wake_bumped[w] = true; notify_worker(w, ON_ENTRY_WAKE) }
	:: else
	fi;
#endif
	w = 0;
	goto wasm_serve_own_cpu;

move_to_fresh_worker:
	atomic {
		w = task_worker[task];
		/* wasm_worker_take_for_death(): there is always one here. */
		if
		:: worker_state[0] == WORKER_IDLE -> fresh = 0
#if WORKERS > 1
		:: worker_state[1] == WORKER_IDLE -> fresh = 1
#endif
#if WORKERS > 2
		:: worker_state[2] == WORKER_IDLE -> fresh = 2
#endif
#if WORKERS > 3
		:: worker_state[3] == WORKER_IDLE -> fresh = 3
#endif
		fi;
		worker_state[fresh] = WORKER_CLAIMED;
		wake[fresh] = 0;
		wants_kernel[fresh] = false;
		memory_users[task]++;
		task_worker[task] = fresh;
		adopted[task] = true;
		abandoned++;
		/* wasm_worker_start() */
		worker_task[fresh] = task;
		worker_state[fresh] = WORKER_ASSIGNED;
		notify_worker(fresh, ON_STATE);
		task = 0
	}
#ifdef BREAK_ABANDON_ORDER
	atomic { entry_wake_bumped[w] = true; notify_worker(w, ON_ENTRY_WAKE) }
	worker_state[w] = WORKER_ABANDONED;
#else
	worker_state[w] = WORKER_ABANDONED;
	atomic { entry_wake_bumped[w] = true; notify_worker(w, ON_ENTRY_WAKE) }
#endif
	atomic {
		release(c, OWN(c));
		wake[fresh] = c + 1;
		notify_worker(fresh, ON_WAKE);
		w = 0;
		fresh = 0
	}
	goto wasm_serve_own_cpu;

#if KTHREAD
coroutine:
	/* wasm_resume_coroutine(): a kernel thread that reads from a device, and ends. */
	if
	:: coroutine_calls > 0 ->
		atomic { coroutine_calls--; sleep_and_pick_next(c, task, OWN(c)) }
	:: else ->
		atomic { die_and_pick_next(c, task, OWN(c)) }
	fi;
	task = 0;
	hand_over(c, OWN(c), true);
	/* wasm_suspend_coroutine(), or wasm_unwind() */
	goto wasm_serve_own_cpu
#else
	skip
#endif
}

/* ---- everybody else -------------------------------------------------------------------------------- */

/* The host's devices, which interrupt CPU 0; the time; and interrupts for nothing, of any CPU. */
proctype device() {
	byte ticks = TICKS;
	bool notify;

	do
#if SLEEPS
	:: now < LAST_TIME -> now++
#else
	:: atomic {
			if
			:: io[0] == IO_REQUESTED -> io[0] = IO_DONE
#if TASKS > 1
			:: io[1] == IO_REQUESTED -> io[1] = IO_DONE
#endif
#if TASKS > 2
			:: io[2] == IO_REQUESTED -> io[2] = IO_DONE
#endif
			fi
		}
		wasm_raise_interrupt(0)
#endif
	:: atomic { ticks > 0 -> ticks-- }
		if
		:: wasm_raise_interrupt(0)
#if CPUS > 1
		:: wasm_raise_interrupt(1)
#endif
		fi
	od
}

#if ASKS
/* arch_wait_channel(): what it knows of the worker may be stale, so it may be any one at any time. */
proctype asker() {
	byte w, asks = ASKS;

	do
	:: asks > 0 ->
		asks--;
		w = 0;
		do
		:: w < WORKERS - 1 -> w++
		:: break
		od;
#ifdef BREAK_TRACE_STORE
		wake[w] = WAKE_TRACE;
		notify_worker(w, ON_WAKE)
#else
		if
		:: atomic { wake[w] == 0 -> wake[w] = WAKE_TRACE }
			atomic { notify_worker(w, ON_WAKE) }
		:: wake[w] != 0
		fi
#endif
	:: else -> break
	od
}
#endif

#if KILL
/* Another CPU, which is not in the model, sends a fatal signal to task 0. */
proctype killer() {
	bool notify;

#if SLEEPS && TASKS > 1
	dead[1];
#endif
	signalled[0] = true;
	/* kick_process() */
	if
	:: current[0] == 0 -> wasm_raise_interrupt(0)
#if CPUS > 1
	:: current[1] == 0 -> wasm_raise_interrupt(1)
#endif
	:: else
	fi
}

#if REAPER
/* WorkerPool::reap() and gone() of the host. */
proctype reaper() {
	byte w = 0;

	/* The first worker of the task that is killed. */
	worker_state[w] == WORKER_ABANDONED;
	/* It may come back by itself at this moment. */
	atomic {
		if
		:: worker_state[w] == WORKER_ABANDONED -> worker_state[w] = WORKER_TERMINATING; doomed[w] = true
		:: else -> goto ended
		fi
	}
	atomic { terminated[w] -> released++; wasm_memory_put(worker_task[w]) };
	worker_state[w] = WORKER_EMPTY;
ended:
	skip
}
#endif
#endif

/* When nothing can happen any more, everything must have happened. */
inline quiescent_cpu(c) {
	assert(!(pending[c] & (IRQ_TAKEN | IRQ_SWITCH)));
	assert(state[c] == CPU_IDLE && cpu_asleep[c] && owner[c] == OWN(c))
}

inline quiescent_task(t) {
	assert(dead[t] && freed[t] && !on_cpu[t] && io[t] == IO_NONE);
	assert(memory_users[t] == (REAPER || !KILL || t != 0 -> 0 : abandoned - released))
}

/* Released, or a program that makes no calls and that the host does not end. */
inline quiescent_worker(w) {
	assert((worker_state[w] == WORKER_IDLE && asleep[w] == ON_STATE) ||
	       (worker_state[w] == WORKER_EMPTY && terminated[w]) ||
	       (!REAPER && worker_state[w] == WORKER_ABANDONED && asleep[w] == AWAKE))
}

proctype quiescence() {
	timeout;
	quiescent_cpu(0);
	quiescent_task(0);
	quiescent_worker(0);
#if CPUS > 1
	quiescent_cpu(1);
#endif
#if TASKS > 1
	quiescent_task(1);
#endif
#if TASKS > 2
	quiescent_task(2);
#endif
#if WORKERS > 1
	quiescent_worker(1);
#endif
#if WORKERS > 2
	quiescent_worker(2);
#endif
#if WORKERS > 3
	quiescent_worker(3);
#endif
	assert(released == abandoned || (!REAPER && released < abandoned))
}

init {
	byte i;

	atomic {
		for (i : 0 .. TASKS - 1) {
			runnable[i] = true;
		}
		for (i : 0 .. PROGRAMS - 1) {
			memory_users[i] = 1;
			task_worker[i] = i;
			worker_task[i] = i;
			worker_state[i] = WORKER_ASSIGNED;
		}
#if KILL
		worker_state[PROGRAMS] = WORKER_IDLE;
#endif
		for (i : 0 .. CPUS - 1) {
			need_resched[i] = true;
			run own_worker(i);
		}
		for (i : 0 .. WORKERS - 1) {
			run worker(i);
		}
		run device();
#if ASKS
		run asker();
#endif
#if KILL
		run killer();
#if REAPER
		run reaper();
#endif
#endif
		run quiescence()
	}
}
