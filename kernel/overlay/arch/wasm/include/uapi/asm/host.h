/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The contract between the kernel and its host: every structure that both
 * sides read in the kernel's memory K, and the numbers in them. The kernel, the
 * C++ host and the generator of the TypeScript constants include this one file;
 * docs/abi-engine.md tells the protocols. The functions that the kernel imports are
 * declared in asm/engine_calls.h.
 *
 * All fields are little endian and naturally aligned. A field marked "atomic"
 * is only accessed with sequentially consistent atomic operations.
 */
#ifndef _UAPI_ASM_WASM_HOST_H
#define _UAPI_ASM_WASM_HOST_H

#include <linux/types.h>

#define AUKLET_ABI_VERSION	8
#define AUKLET_MAX_CPUS		8
#define AUKLET_MAX_WORKERS	1024
#define AUKLET_MAX_MEMORIES	1024
#define AUKLET_MAX_DEVICES	24	/* device number = interrupt line = doorbell bit */
#define AUKLET_MAX_QUEUES	8
#define AUKLET_MODULE_PIECE	4096	/* bytes of a program image that lie together in K */
#define AUKLET_TRAP_TEXT_SIZE	4096	/* bytes of the text that wasm_kernel_trap() gets */
#define AUKLET_NO_MEMORY	(-1)	/* the number of no user memory */
#define AUKLET_NO_DEADLINE	(-1LL)	/* the time of no clock event */

/* Why a machine has ended: engine_halt(). */
#define AUKLET_HALT_POWER_OFF	0
#define AUKLET_HALT_RESTART	1
#define AUKLET_HALT_PANIC	2

/* The kinds of trap that the host tells wasm_user_trap(). */
#define AUKLET_TRAP_MEMORY	0	/* access out of bounds */
#define AUKLET_TRAP_UNREACHABLE	1
#define AUKLET_TRAP_DIVISION	2
#define AUKLET_TRAP_OVERFLOW	3
#define AUKLET_TRAP_CALL	4	/* indirect call of a null, wrong or missing function */
#define AUKLET_TRAP_STACK	5	/* the engine's stack is exhausted */
#define AUKLET_TRAP_EXCEPTION	6	/* uncaught exception */
#define AUKLET_TRAP_START	7	/* the module could not be started */

/* Bits of auklet_machine.doorbell: 0 to 23 are devices. */
#define AUKLET_DOORBELL_SAFEPOINTS	(1U << 28)	/* a memory's safepoint_request was raised */
#define AUKLET_DOORBELL_COPY	(1U << 29)	/* auklet_machine.copy asks for something */
#define AUKLET_DOORBELL_POOLS	(1U << 30)	/* worker_goal or memory_goal was raised */
#define AUKLET_DOORBELL_REAP	(1U << 31)	/* a worker slot became ABANDONED */

/* Bit of auklet_machine.interrupt_lines that the host raises after it bumped pool_wait, or copied. */
#define AUKLET_LINE_POOLS	31
/* And the one that it raises after it wrote wall_offset. */
#define AUKLET_LINE_CLOCK	30

/* Values of auklet_cpu.state; any other value is USER: the address of the auklet_worker that runs user code. */
#define AUKLET_CPU_KERNEL	0
#define AUKLET_CPU_IDLE		1
#define AUKLET_CPU_WAITS	3	/* the current task's worker sleeps on this word, for a short time */

/* Bits of auklet_cpu.pending. The host raises DEVICE, and STOP at the end. */
#define AUKLET_IRQ_TIMER	(1U << 0)
#define AUKLET_IRQ_RESCHEDULE	(1U << 1)
#define AUKLET_IRQ_CALL		(1U << 2)
#define AUKLET_IRQ_WORK		(1U << 3)
#define AUKLET_IRQ_DEVICE	(1U << 4)
#define AUKLET_IRQ_SWITCH	(1U << 5)	/* the CPU's own worker was handed the CPU */
#define AUKLET_IRQ_STOP		(1U << 6)	/* the machine has ended: leave wasm for good */
#define AUKLET_IRQ_REARM	(1U << 7)	/* the deadline was moved forward */
#define AUKLET_IRQ_WATCHED	(1U << 8)	/* no interrupt was taken since the CPU's own worker looked */

/* One guest CPU. state and pending stay on one cache line of their own. */
struct auklet_cpu {
	__u32 state;		/* atomic: who executes as this CPU */
	__u32 pending;		/* atomic, futex of the CPU's own worker */
	__u64 deadline;		/* clock event, ns of the monotonic clock, or AUKLET_NO_DEADLINE */
	__u64 armed;		/* deadline that the CPU's own worker waits for now */
	__u32 switch_to;	/* task handed over with IRQ_SWITCH */
	__u32 ticks;		/* timer interrupts taken: stands still when the CPU is idle or stuck */
	__u32 reserved[8];
};

/* States of a worker slot. */
#define AUKLET_WORKER_EMPTY		0	/* no worker exists */
#define AUKLET_WORKER_IDLE		1	/* parked, may be taken by the kernel */
#define AUKLET_WORKER_ASSIGNED		2	/* the kernel gave it a task */
#define AUKLET_WORKER_RUNNING		3	/* it runs that task */
#define AUKLET_WORKER_ABANDONED		4	/* its task was taken away while it ran user code */
#define AUKLET_WORKER_TERMINATING	5	/* the host is ending it */
#define AUKLET_WORKER_CLAIMED		6	/* the kernel is about to make it ASSIGNED */

/* Why a worker came back to its base (auklet_worker.leave). */
#define AUKLET_LEAVE_NONE	0	/* a trap of the program, or of the kernel */
#define AUKLET_LEAVE_TASK_GONE	1	/* the task is dead or was taken away: park again */
#define AUKLET_LEAVE_START	2	/* start a program as auklet_worker says */
#define AUKLET_LEAVE_STOP	3	/* the machine has ended */

/* How to start (auklet_worker.start). */
#define AUKLET_START_EXEC	1	/* _start(argument) in a fresh instance */
#define AUKLET_START_FORK	2	/* rewind into a copy of the parent */
#define AUKLET_START_CLONE	3	/* __clone_start(argument): shares U */

/* Mutable globals of a program that fork and clone carry over, by index. */
#define AUKLET_GLOBAL_STACK_POINTER	0	/* __stack_pointer */
#define AUKLET_GLOBAL_TLS_BASE		1	/* __tls_base */
#define AUKLET_GLOBALS			2

/* One pooled worker. */
struct auklet_worker {
	__u32 state;		/* atomic, futex of the parked worker */
	__u32 task;		/* task_struct */
	__u32 other_memory;	/* id of a U that its task needs besides: to copy from, or for exec; ~0 = none */
	__u32 leave;		/* AUKLET_LEAVE_*; written by the kernel in this worker */
	__u32 start;		/* AUKLET_START_* */
	__u32 module;		/* program module id */
	__u32 memory;		/* id of the U the worker is bound to; ~0 = none */
	__u32 entry;		/* AUKLET_START_EXEC or _CLONE: the export that a fork rewinds */
	__u32 argument;		/* the parameter of that export */
	__u32 fork_buffer;	/* asyncify data of a fork, in U */
	__u32 globals[AUKLET_GLOBALS];
	__u32 wake;		/* atomic, futex of the worker while its task is off the CPU: CPU number + 1, AUKLET_WAKE_* */
	__u32 cpu;		/* atomic: the CPU that runs its task in user mode */
	__u32 wants_kernel;	/* atomic: its program makes a system call while the CPU was taken away */
	__u32 entry_wake;	/* atomic, futex: bumped when that call may be tried again */
};

/* auklet_worker.wake: the task was never started, go back to the pool. */
#define AUKLET_WAKE_CANCEL	0xffffffffU
/* Look whether the machine has ended, or the kernel asks for its stack, and wait on. */
#define AUKLET_WAKE_TRACE	0xfffffffeU

#define AUKLET_MEMORY_ABSENT	0	/* the host has not made it */
#define AUKLET_MEMORY_FREE	1	/* may be taken by the kernel */
#define AUKLET_MEMORY_USED	2

/* auklet_memory.safepoint_request: whether the host is to write 1 to the word. */
#define AUKLET_SAFEPOINT_NONE		0
#define AUKLET_SAFEPOINT_WANTED		1	/* set by the kernel */
#define AUKLET_SAFEPOINT_BUSY		2	/* the host has begun: the memory may not get another program now */

/* One pooled user memory. */
struct auklet_memory {
	__u32 state;		/* atomic */
	__u32 users;		/* atomic: mm plus abandoned workers that may still write */
	__u32 pages;		/* its size in 64 KiB pages; kernel */
	__u32 safepoint;	/* atomic: address of the word that its program polls; 0 = none */
	__u32 safepoint_request;	/* atomic, futex: AUKLET_SAFEPOINT_* */
	__u32 reserved[3];
};

#define AUKLET_TASK_NAME_SIZE	16
#define AUKLET_NO_SYSTEM_CALL	0xffffffffU

/* Where the host finds what diagnostics tell of a task. Offsets in task_struct, but for the last. */
struct auklet_task_layout {
	__u32 pid;
	__u32 name;		/* AUKLET_TASK_NAME_SIZE bytes */
	__u32 stack;		/* address of the task's kernel stack */
	__u32 system_call;	/* offset in that stack: the call's number, AUKLET_NO_SYSTEM_CALL */
};

/* A place in a user memory. */
struct auklet_place {
	__u32 memory;		/* number of the U */
	__u32 address;		/* in it */
};

#define AUKLET_COPY_PLACES	32

/*
 * A copy between K and user memories that the worker which needs it does not know: only the host
 * knows all. The kernel fills it in, bumps sequence and rings; the host copies, writes copied, then done.
 */
struct auklet_copy {
	__u32 buffer;		/* in K */
	__u32 length;
	__u32 write;		/* 1: to each place, 0: from the first */
	__u32 places;		/* how many, 1 to AUKLET_COPY_PLACES */
	struct auklet_place place[AUKLET_COPY_PLACES];
	__u32 copied;		/* host: bytes at the last place, less than length if U ends before */
	__u32 sequence;		/* atomic */
	__u32 done;		/* atomic: the sequence that the host has done */
};

/* What the host and the kernel share; the kernel exports its address as the wasm global auklet_machine. */
struct auklet_machine {
	__u32 version;		/* AUKLET_ABI_VERSION */
	__u32 doorbell;		/* atomic, futex of the host */
	__u32 interrupt_lines;	/* atomic: host sets bit n to raise line n */
	__u32 interrupt_cpu;	/* the CPU that serves the lines */
	__u32 worker_goal;	/* how many parked workers the kernel wants to find */
	__u32 worker_limit;	/* host: no more workers than this will exist */
	__u32 memory_goal;	/* how many FREE memories the kernel wants to find */
	__u32 memory_limit;	/* host: no more memories than this will exist */
	__u32 memory_pages;	/* host: maximum size of a U in 64 KiB pages */
	__u32 workers;		/* host: slots 0 .. n-1 have been used */
	__u32 memories;		/* host: memories 0 .. n-1 have been made */
	__u32 pool_wait;	/* atomic, futex: bumped by the host when it refilled a pool or gave up */
	__u32 modules;		/* atomic: program modules 0 .. n-1 have been compiled, by guest workers */
	__u32 coroutines;	/* CPU 0's worker, before wasm_boot_cpu(): 1 = the CPUs' own workers can suspend wasm stacks */
	struct auklet_task_layout task;
	__u32 sleep_traces;	/* with "sleep_traces" on the command line: a text for each worker slot; else 0 */
	__u32 sleep_trace_size;	/* bytes of each, zero-terminated */
	struct auklet_copy copy;
	__u32 processors;	/* host: how many threads it can execute at the same time; 0 = not known */
	__u32 wall_sequence;	/* atomic: odd while the host writes wall_offset, another number after each change */
	__u32 late_deaths;	/* atomic: how often a killed task found no parked worker; kernel */
	__u64 wall_offset;	/* host: ns since 1970 minus ns of the host's monotonic clock */
	struct auklet_cpu cpu[AUKLET_MAX_CPUS];
	struct auklet_memory memory[AUKLET_MAX_MEMORIES];
	struct auklet_worker worker[AUKLET_MAX_WORKERS];
};

/*
 * virtio over shared memory: one control page per device, in host-reserved
 * memory above the guest's RAM. It replaces the register block of virtio-mmio
 * (virtio 1.2, section 4.2.2) for a host that cannot trap accesses.
 */
#define AUKLET_VIRTIO_MAGIC		0x306b7561	/* "auk0" */
#define AUKLET_VIRTIO_PAGE		4096
#define AUKLET_VIRTIO_CONFIG		2048	/* offset of the device's configuration space */
#define AUKLET_VIRTIO_CONFIG_SIZE	2048
#define AUKLET_VIRTIO_CONFIG_WRITE	8	/* bytes of it that the driver can write at once */

/* Bits of auklet_virtio.kick: 0 to 7 are queues. */
#define AUKLET_VIRTIO_KICK_CONFIG	(1U << 30)	/* the driver wrote config_value */
#define AUKLET_VIRTIO_KICK_STATUS	(1U << 31)	/* the driver wrote status */

/* Bits of auklet_virtio.interrupt (virtio 1.2, 4.2.2 InterruptStatus). */
#define AUKLET_VIRTIO_INT_RING		1
#define AUKLET_VIRTIO_INT_CONFIG	2
#define AUKLET_VIRTIO_INT_RELEASED	4	/* a bit of auklet_virtio.held was cleared */

struct auklet_virtio_queue {
	__u32 size_max;		/* host; 0 = no such queue */
	__u32 size;		/* driver */
	__u32 ready;		/* driver */
	__u32 descriptors;	/* driver: addresses in K */
	__u32 available;
	__u32 used;
	__u32 reserved[2];
};

struct auklet_virtio {
	__u32 magic;
	__u32 device_id;
	__u32 device_features[2];
	__u32 driver_features[2];
	__u32 status;		/* atomic: driver writes, then kicks STATUS and waits for status_seen */
	__u32 status_seen;	/* atomic, futex: the host has acted on this value of status_sequence */
	__u32 status_sequence;	/* driver bumps with each write to status */
	__u32 status_result;	/* status after the host has acted (FEATURES_OK may be gone, NEEDS_RESET set) */
	__u32 kick;		/* atomic: driver sets queue bits, then the machine's doorbell bit */
	__u32 interrupt;	/* atomic: host sets bits, then raises the line; driver exchanges with 0 */
	__u32 config_generation;	/* odd while the host writes the configuration space */
	__u32 queue_count;
	__u32 held;		/* atomic: bit n: the host asks to put nothing into queue n that can wait */
	__u32 config_offset;	/* driver: where in the configuration space config_value belongs */
	__u32 config_length;	/* driver: bytes of it, 1 to AUKLET_VIRTIO_CONFIG_WRITE */
	__u32 config_sequence;	/* atomic: driver bumps with each write, then kicks CONFIG and waits for config_seen */
	__u32 config_seen;	/* atomic, futex: the host has taken over the write of this config_sequence */
	__u8 config_value[AUKLET_VIRTIO_CONFIG_WRITE];
	__u32 reserved;
	struct auklet_virtio_queue queue[AUKLET_MAX_QUEUES];
};

#endif /* _UAPI_ASM_WASM_HOST_H */
