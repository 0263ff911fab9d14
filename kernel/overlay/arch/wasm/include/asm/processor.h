/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_PROCESSOR_H
#define _ASM_WASM_PROCESSOR_H

#include <linux/types.h>
#include <asm/page.h>
#include <asm/ptrace.h>
#include <asm/signal_thread.h>

/*
 * A user address is an offset in U. The functions that access U check it
 * against the size of that U, so TASK_SIZE is only the most that a U can have.
 */
#define TASK_SIZE		0xffff0000UL
#define STACK_TOP		TASK_SIZE
#define STACK_TOP_MAX		STACK_TOP
#define TASK_UNMAPPED_BASE	PAGE_SIZE

struct auklet_worker;
struct task_struct;
struct mm_struct;
struct completion;

/* What the worker does with the task's program when it is at its base again. */
enum wasm_start {
	WASM_START_NONE,
	WASM_START_PROGRAM,	/* start it as auklet_worker.start says */
};

struct thread_struct {
	/* NULL if the CPU's own worker executes the task. */
	struct auklet_worker *worker;
	/* The task that had the CPU before: __switch_to() returns it. */
	struct task_struct *switched_from;

	/* The function of a kernel thread. */
	int (*fn)(void *arg);
	void *fn_arg;

	/* asm/coroutine.h */
	bool coroutine;
	void (*restart)(void *argument);
	void *restart_argument;

	/*
	 * True while the task has no kernel context, because its CPU was taken
	 * from it in user mode. A CPU's own worker resumes it. Only the holder
	 * of the CPU that the task last ran on writes this.
	 */
	bool in_user;
	/* The task moved to a fresh worker to die: its program is gone. */
	bool adopted;

	/* A stop is a time in which the task does not execute: short_stop.c. */
	struct stop {
		u64 begin;	/* engine_now() at its begin, or 0 */
		u64 end;	/* engine_now() at the end of the last one */
		u32 poll;	/* nanoseconds to poll for its end, or 0 */
		u8 failed;	/* 2^n - 1 after n failed polls in a row */
		u8 skip;	/* chances to poll that are still left out */
		bool was_short;	/* the last stop was short */
		bool joins;	/* the task does not linger at its next stop */
		/*
		 * The task does not linger now, so that its waker can pull it
		 * over; nor at the stops that follow on the CPU of the waker.
		 */
		bool joining;
		u8 apart;	/* waits before the task may join again */
	} stop;

	enum wasm_start start;

	/* fork(): the state of the parent's program, and the child's source. */
	bool fork_request;
	/* In the parent: a child is being made that copies the parent's U. */
	bool fork_copies;
	u32 fork_buffer;
	u32 stack_pointer;
	u32 tls_base;
	/* In the child: number of the parent's U, until it is copied. */
	int fork_source;
	/* The parent waits on this for the copy. The child completes it. */
	struct completion *fork_done;

	/* Copies obey the size of U alone, not the protection: mm/access.c. */
	bool ignores_access;

	/*
	 * Number of the U that was taken for this task's exec when the task was
	 * made, or AUKLET_NO_MEMORY.
	 */
	int exec_memory;

	struct signal_thread signal;
};

#define INIT_THREAD { }

#define KSTK_EIP(tsk)	0UL
#define KSTK_ESP(tsk)	((tsk)->thread.stack_pointer)

unsigned long __get_wchan(struct task_struct *p);

/* The scheduler calls these functions of short_stop.c. */
bool arch_polls_before_idle(void);
void arch_poll_before_idle(const unsigned int *nr_running);
void arch_end_poll(struct task_struct *p);
bool arch_joins(const struct task_struct *p);
bool arch_takes_turns(const struct task_struct *p);

/*
 * Takes pending interrupts if they are enabled. Now and then it also gives the
 * computer's processor to other threads.
 */
void cpu_relax(void);

#define current_pt_regs()	task_pt_regs(current)

/* The registers of the last system call lie at the base of the kernel stack. */
#define task_pt_regs(p)							\
	((struct pt_regs *)(task_stack_page(p) + THREAD_SIZE) - 1)

static inline void prefetch(const void *address) { }
#define ARCH_HAS_PREFETCH

#endif /* _ASM_WASM_PROCESSOR_H */
