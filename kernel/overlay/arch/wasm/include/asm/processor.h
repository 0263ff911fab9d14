/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_PROCESSOR_H
#define _ASM_WASM_PROCESSOR_H

#include <linux/types.h>
#include <asm/page.h>
#include <asm/ptrace.h>
#include <asm/signal_thread.h>

/* A user address is an offset in U; sizes are checked against U itself. */
#define TASK_SIZE		0xffff0000UL
#define STACK_TOP		TASK_SIZE
#define STACK_TOP_MAX		STACK_TOP
#define TASK_UNMAPPED_BASE	PAGE_SIZE

struct auklet_worker;
struct task_struct;
struct mm_struct;
struct completion;

/* What a program does when its worker is at the base again. */
enum wasm_start {
	WASM_START_NONE,
	WASM_START_PROGRAM,	/* as auklet_worker says */
};

struct thread_struct {
	struct auklet_worker *worker;	/* NULL: runs on its CPU's own worker */
	struct task_struct *switched_from;	/* who ran before us: __switch_to's result */

	/* Kernel thread: its function. */
	int (*fn)(void *arg);
	void *fn_arg;

	/* asm/coroutine.h */
	bool coroutine;
	void (*restart)(void *argument);
	void *restart_argument;

	/*
	 * Set while the task has no kernel context because its CPU was taken
	 * from it in user mode: it is resumed by a CPU's own worker.
	 * Written with the CPU held that the task last ran on.
	 */
	bool in_user;
	bool adopted;		/* moved to a fresh worker to die: its program is gone */

	struct stop {
		u64 begin;	/* engine_now(), or 0 */
		u64 end;	/* of the last one */
		u32 poll;	/* nanoseconds to poll for its end, or 0 */
		u8 failed;	/* 2^n - 1 for n polls in a row that failed */
		u8 skip;	/* chances that are let go by for that, still */
		bool was_short;	/* the last one */
		bool joins;	/* the next one is no wait */
		bool joining;	/* this one is none, nor are those that follow on the CPU of the waker */
		u8 apart;	/* waits before it may join again */
	} stop;			/* short_stop.c: the task does not execute */

	enum wasm_start start;

	/* fork(): the parent's program state, and the child's source. */
	bool fork_request;
	bool fork_copies;		/* parent: a child is made that copies its U */
	u32 fork_buffer;
	u32 stack_pointer;
	u32 tls_base;
	int fork_source;		/* child: number of the parent's U, until it was copied */
	struct completion *fork_done;	/* parent: waits for that; child: the parent's */

	bool ignores_access;	/* copies go by the size of U alone: mm/access.c */

	/* Number of a U that was taken for this task's exec when it was made, or AUKLET_NO_MEMORY. */
	int exec_memory;

	struct signal_thread signal;
};

#define INIT_THREAD { }

#define KSTK_EIP(tsk)	0UL
#define KSTK_ESP(tsk)	((tsk)->thread.stack_pointer)

unsigned long __get_wchan(struct task_struct *p);

/* short_stop.c; the scheduler calls these. */
bool arch_polls_before_idle(void);
void arch_poll_before_idle(const unsigned int *nr_running);
void arch_end_poll(struct task_struct *p);
bool arch_joins(const struct task_struct *p);
bool arch_takes_turns(const struct task_struct *p);

/* Takes pending interrupts if they are enabled, and now and then yields the host's core. */
void cpu_relax(void);

#define current_pt_regs()	task_pt_regs(current)
/* The registers of the last system call lie at the base of the kernel stack. */
#define task_pt_regs(p)							\
	((struct pt_regs *)(task_stack_page(p) + THREAD_SIZE) - 1)

static inline void prefetch(const void *address) { }
#define ARCH_HAS_PREFETCH

#endif /* _ASM_WASM_PROCESSOR_H */
