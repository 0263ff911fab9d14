/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The contract between the kernel and its host: every structure in the kernel's
 * memory K that both sides read, and the numbers in these structures. The
 * kernel, the C++ host and the generator of the TypeScript constants include
 * this one file. docs/abi-engine.md describes the protocols.
 * asm/engine_calls.h declares the functions that the kernel imports.
 *
 * A "worker" is a pooled worker here, if nothing else is said. "The host:" and
 * "the kernel:" before a meaning say who writes the field.
 *
 * All fields are little endian and naturally aligned. All accesses to a field
 * marked "atomic" are sequentially consistent atomic operations. A "futex" is a
 * word that somebody sleeps on.
 */
#ifndef _UAPI_ASM_WASM_HOST_H
#define _UAPI_ASM_WASM_HOST_H

#include <linux/types.h>

#define AUKLET_ABI_VERSION	8
#define AUKLET_MAX_CPUS		8
#define AUKLET_MAX_WORKERS	1024
#define AUKLET_MAX_MEMORIES	1024
/* A device's number is its interrupt line and its doorbell bit too. */
#define AUKLET_MAX_DEVICES	24
#define AUKLET_MAX_QUEUES	8
/* Bytes of a program image that lie together in K. */
#define AUKLET_MODULE_PIECE	4096
/* Bytes of the text that wasm_kernel_trap() gets. */
#define AUKLET_TRAP_TEXT_SIZE	4096
/* Stands for "no user memory" where a number of one is expected. */
#define AUKLET_NO_MEMORY	(-1)
/* Stands for "no clock event" where the time of one is expected. */
#define AUKLET_NO_DEADLINE	(-1LL)

/* Why a machine has ended: the argument of engine_halt(). */
#define AUKLET_HALT_POWER_OFF	0
#define AUKLET_HALT_RESTART	1
#define AUKLET_HALT_PANIC	2

/* The kinds of trap that the worker's script tells wasm_user_trap(). */
#define AUKLET_TRAP_MEMORY	0	/* access out of bounds */
#define AUKLET_TRAP_UNREACHABLE	1
#define AUKLET_TRAP_DIVISION	2
#define AUKLET_TRAP_OVERFLOW	3
/* Indirect call of a null, wrong or missing function. */
#define AUKLET_TRAP_CALL	4
#define AUKLET_TRAP_STACK	5	/* the engine's stack is exhausted */
#define AUKLET_TRAP_EXCEPTION	6	/* uncaught exception */
#define AUKLET_TRAP_START	7	/* the module could not be started */

/* Bits of auklet_machine.doorbell. Bits 0 to 23 are devices. */
/* The kernel has raised some auklet_memory.safepoint_request. */
#define AUKLET_DOORBELL_SAFEPOINTS	(1U << 28)
/* The kernel has filled in auklet_machine.copy. */
#define AUKLET_DOORBELL_COPY	(1U << 29)
/* The kernel has raised worker_goal or memory_goal. */
#define AUKLET_DOORBELL_POOLS	(1U << 30)
/* A worker slot became ABANDONED. */
#define AUKLET_DOORBELL_REAP	(1U << 31)

/*
 * Bits of auklet_machine.interrupt_lines that are no devices. The host raises
 * POOLS after it has bumped pool_wait, and after a copy. It raises CLOCK after
 * it has written wall_offset.
 */
#define AUKLET_LINE_POOLS	31
#define AUKLET_LINE_CLOCK	30

/*
 * Values of auklet_cpu.state. Any other value means user mode: it is the
 * address of the auklet_worker that executes user code. In WAITS, the worker of
 * the current task sleeps on this word for a short time.
 */
#define AUKLET_CPU_KERNEL	0
#define AUKLET_CPU_IDLE		1
#define AUKLET_CPU_WAITS	3

/* Bits of auklet_cpu.pending. The host raises DEVICE, and STOP at the end. */
#define AUKLET_IRQ_TIMER	(1U << 0)
#define AUKLET_IRQ_RESCHEDULE	(1U << 1)
#define AUKLET_IRQ_CALL		(1U << 2)
#define AUKLET_IRQ_WORK		(1U << 3)
#define AUKLET_IRQ_DEVICE	(1U << 4)
/* The CPU's own worker was handed the CPU. */
#define AUKLET_IRQ_SWITCH	(1U << 5)
/* The machine has ended: leave wasm for good. */
#define AUKLET_IRQ_STOP		(1U << 6)
/* The deadline was moved forward. */
#define AUKLET_IRQ_REARM	(1U << 7)
/* No interrupt was taken since the CPU's own worker looked. */
#define AUKLET_IRQ_WATCHED	(1U << 8)

/* One guest CPU. It fills one cache line of its own. */
struct auklet_cpu {
	__u32 state;		/* atomic: who executes as this CPU */
	__u32 pending;		/* atomic, futex of the CPU's own worker */
	/* The clock event, ns of the monotonic clock; or AUKLET_NO_DEADLINE. */
	__u64 deadline;
	/* The deadline that the CPU's own worker sleeps for now. */
	__u64 armed;
	__u32 switch_to;	/* task handed over with IRQ_SWITCH */
	/* Timer interrupts taken. A CPU that is idle or stuck takes none. */
	__u32 ticks;
	__u32 reserved[8];
};

/* States of a worker slot (auklet_worker.state). */
#define AUKLET_WORKER_EMPTY		0	/* no worker exists */
#define AUKLET_WORKER_IDLE		1	/* parked: free to be taken */
#define AUKLET_WORKER_ASSIGNED		2	/* the kernel gave it a task */
#define AUKLET_WORKER_RUNNING		3	/* it runs that task */
/* Its task was taken away while it executed user code. */
#define AUKLET_WORKER_ABANDONED		4
#define AUKLET_WORKER_TERMINATING	5	/* the host is ending it */
/* The kernel is about to make it ASSIGNED. */
#define AUKLET_WORKER_CLAIMED		6

/* Why a worker came back to its base (auklet_worker.leave). */
/* The program or the kernel trapped. */
#define AUKLET_LEAVE_NONE	0
/* The task is dead or was taken away: park again. */
#define AUKLET_LEAVE_TASK_GONE	1
/* Start a program as auklet_worker says. */
#define AUKLET_LEAVE_START	2
/* The machine has ended. */
#define AUKLET_LEAVE_STOP	3

/* How to start a program (auklet_worker.start). */
/* Call _start(argument) in a fresh instance. */
#define AUKLET_START_EXEC	1
/* Rewind into a copy of the parent. */
#define AUKLET_START_FORK	2
/* Call __clone_start(argument) in an instance that shares U. */
#define AUKLET_START_CLONE	3

/*
 * Indexes in auklet_worker.globals: the mutable globals of a program that fork
 * and clone carry over.
 */
#define AUKLET_GLOBAL_STACK_POINTER	0	/* __stack_pointer */
#define AUKLET_GLOBAL_TLS_BASE		1	/* __tls_base */
#define AUKLET_GLOBALS			2

/* One pooled worker. */
struct auklet_worker {
	__u32 state;		/* atomic, futex of the parked worker */
	__u32 task;		/* task_struct */
	/*
	 * Number of another U that its task needs, to copy from or for exec; or
	 * AUKLET_NO_MEMORY.
	 */
	__u32 other_memory;
	/* AUKLET_LEAVE_*. The kernel in this worker writes it. */
	__u32 leave;
	__u32 start;		/* AUKLET_START_* */
	__u32 module;		/* program module id */
	/* Number of the U that the worker is bound to, or AUKLET_NO_MEMORY. */
	__u32 memory;
	/* START_EXEC or START_CLONE: the export that a fork rewinds. */
	__u32 entry;
	__u32 argument;		/* the parameter of that export */
	__u32 fork_buffer;	/* asyncify data of a fork, in U */
	__u32 globals[AUKLET_GLOBALS];
	/*
	 * atomic, futex of the worker while its task is off the CPU: number of
	 * the CPU that the task gets + 1, or AUKLET_WAKE_*
	 */
	__u32 wake;
	/* atomic: the CPU that executes its task in user mode */
	__u32 cpu;
	/* atomic: its program makes a system call, but has lost its CPU */
	__u32 wants_kernel;
	/* atomic, futex: bumped when that call may be tried again */
	__u32 entry_wake;
};

/* auklet_worker.wake: the task was never started. Go back to the pool. */
#define AUKLET_WAKE_CANCEL	0xffffffffU
/*
 * auklet_worker.wake: look whether the machine has ended or the kernel asks for
 * this worker's stack trace, then wait on.
 */
#define AUKLET_WAKE_TRACE	0xfffffffeU

/* States of a user memory (auklet_memory.state). */
#define AUKLET_MEMORY_ABSENT	0	/* the host has not made it */
#define AUKLET_MEMORY_FREE	1	/* the kernel may take it */
#define AUKLET_MEMORY_USED	2

/*
 * auklet_memory.safepoint_request: whether the host shall write 1 to the word
 * that the program polls. The kernel sets WANTED. In BUSY the host has begun,
 * and the memory must not get another program.
 */
#define AUKLET_SAFEPOINT_NONE		0
#define AUKLET_SAFEPOINT_WANTED		1
#define AUKLET_SAFEPOINT_BUSY		2

/* One pooled user memory. */
struct auklet_memory {
	__u32 state;		/* atomic: AUKLET_MEMORY_* */
	/* atomic: its mm, and abandoned workers that may still write to it */
	__u32 users;
	__u32 pages;		/* the kernel: its size in 64 KiB pages */
	/* atomic: address of the word that its program polls; 0 = none */
	__u32 safepoint;
	__u32 safepoint_request;	/* atomic, futex: AUKLET_SAFEPOINT_* */
	__u32 reserved[3];
};

#define AUKLET_TASK_NAME_SIZE	16
#define AUKLET_NO_SYSTEM_CALL	0xffffffffU

/*
 * Where the host finds what its diagnostics say about a task. All but the last
 * are offsets in task_struct.
 */
struct auklet_task_layout {
	__u32 pid;
	__u32 name;		/* AUKLET_TASK_NAME_SIZE bytes */
	__u32 stack;		/* address of the task's kernel stack */
	/*
	 * Offset in that stack: the number of the system call that the task
	 * makes, or AUKLET_NO_SYSTEM_CALL.
	 */
	__u32 system_call;
};

/* A place in a user memory. */
struct auklet_place {
	__u32 memory;		/* number of the U */
	__u32 address;		/* in that U */
};

#define AUKLET_COPY_PLACES	32

/*
 * A copy between K and user memories. The kernel asks for it where the worker
 * that needs it does not know the memories, since the host knows all. The
 * kernel fills this in, bumps sequence and rings. The host copies, writes
 * copied, then done.
 */
struct auklet_copy {
	__u32 buffer;		/* address in K */
	__u32 length;
	__u32 write;		/* 1: copy to each place, 0: from the first */
	__u32 places;		/* how many, 1 to AUKLET_COPY_PLACES */
	struct auklet_place place[AUKLET_COPY_PLACES];
	/*
	 * The host: bytes copied at the last place; less than length if that U
	 * ends before.
	 */
	__u32 copied;
	__u32 sequence;		/* atomic */
	__u32 done;		/* atomic: the host has done this sequence */
};

/*
 * What the host and the kernel share. The kernel exports its address as the
 * wasm global auklet_machine.
 */
struct auklet_machine {
	__u32 version;		/* AUKLET_ABI_VERSION */
	__u32 doorbell;		/* atomic, futex of the host */
	__u32 interrupt_lines;	/* atomic: with bit n the host raises line n */
	__u32 interrupt_cpu;	/* the CPU that serves the lines */
	/* The kernel: how many parked workers it wants to find. */
	__u32 worker_goal;
	/* The host: no more workers than this will exist. */
	__u32 worker_limit;
	/* The kernel: how many FREE memories it wants to find. */
	__u32 memory_goal;
	/* The host: no more memories than this will exist. */
	__u32 memory_limit;
	/* The host: maximum size of a U in 64 KiB pages. */
	__u32 memory_pages;
	__u32 workers;		/* the host: it has used slots 0 .. n-1 */
	__u32 memories;		/* the host: it has made memories 0 .. n-1 */
	/* atomic, futex: the host bumps it when it filled a pool or gave up */
	__u32 pool_wait;
	/* atomic: guest workers have compiled program modules 0 .. n-1 */
	__u32 modules;
	/*
	 * 1 if the CPUs' own workers can suspend wasm stacks. CPU 0's worker
	 * writes it before it calls wasm_boot_cpu().
	 */
	__u32 coroutines;
	struct auklet_task_layout task;
	/*
	 * With "sleep_traces" on the command line, the address of the texts:
	 * there is one for each worker slot. Else 0.
	 */
	__u32 sleep_traces;
	__u32 sleep_trace_size;	/* bytes of each text, zero-terminated */
	struct auklet_copy copy;
	/* The host: the computer's processors; 0 = not known. */
	__u32 processors;
	/*
	 * atomic: odd while the host writes wall_offset, another number after
	 * each change
	 */
	__u32 wall_sequence;
	/* atomic: the kernel: how often a killed task found no parked worker */
	__u32 late_deaths;
	/* The host: ns since 1970 minus ns of the host's monotonic clock. */
	__u64 wall_offset;
	struct auklet_cpu cpu[AUKLET_MAX_CPUS];
	struct auklet_memory memory[AUKLET_MAX_MEMORIES];
	struct auklet_worker worker[AUKLET_MAX_WORKERS];
};

/*
 * virtio over shared memory: each device has one control page, which the host
 * reserves above the guest's RAM. It replaces the registers of virtio-mmio
 * (virtio 1.2, section 4.2.2), because the host cannot trap accesses.
 */
#define AUKLET_VIRTIO_MAGIC		0x306b7561	/* "auk0" */
#define AUKLET_VIRTIO_PAGE		4096
/* Offset of the device's configuration space. */
#define AUKLET_VIRTIO_CONFIG		2048
#define AUKLET_VIRTIO_CONFIG_SIZE	2048
/* How many bytes of it the driver can write at once. */
#define AUKLET_VIRTIO_CONFIG_WRITE	8

/* Bits of auklet_virtio.kick. Bits 0 to 7 are queues. */
/* The driver wrote config_value. */
#define AUKLET_VIRTIO_KICK_CONFIG	(1U << 30)
/* The driver wrote status. */
#define AUKLET_VIRTIO_KICK_STATUS	(1U << 31)

/* Bits of auklet_virtio.interrupt (virtio 1.2, 4.2.2 InterruptStatus). */
#define AUKLET_VIRTIO_INT_RING		1
#define AUKLET_VIRTIO_INT_CONFIG	2
/* The host cleared a bit of auklet_virtio.held. */
#define AUKLET_VIRTIO_INT_RELEASED	4

struct auklet_virtio_queue {
	__u32 size_max;		/* the host; 0 = no such queue */
	__u32 size;		/* the driver */
	__u32 ready;		/* the driver */
	__u32 descriptors;	/* the driver: addresses in K */
	__u32 available;
	__u32 used;
	__u32 reserved[2];
};

struct auklet_virtio {
	__u32 magic;
	__u32 device_id;
	__u32 device_features[2];
	__u32 driver_features[2];
	/*
	 * atomic: the driver writes it, then kicks STATUS and waits for
	 * status_seen
	 */
	__u32 status;
	/* atomic, futex: the host has acted on this status_sequence */
	__u32 status_seen;
	__u32 status_sequence;	/* the driver bumps it with each status */
	/*
	 * The status after the host has acted: FEATURES_OK may be gone,
	 * NEEDS_RESET may be set.
	 */
	__u32 status_result;
	/* atomic: the driver sets bits, then the machine's doorbell bit */
	__u32 kick;
	/*
	 * atomic: the host sets bits, then raises the line; the driver
	 * exchanges it with 0
	 */
	__u32 interrupt;
	/* Odd while the host writes the configuration space. */
	__u32 config_generation;
	__u32 queue_count;
	/*
	 * atomic: with bit n the host asks the driver to put nothing into queue
	 * n that can wait
	 */
	__u32 held;
	/* The driver: where in the configuration space config_value belongs. */
	__u32 config_offset;
	/* The driver: bytes of it, 1 to AUKLET_VIRTIO_CONFIG_WRITE. */
	__u32 config_length;
	/*
	 * atomic: the driver bumps it with each write, then kicks CONFIG and
	 * waits for config_seen
	 */
	__u32 config_sequence;
	/* atomic, futex: the host has taken over this config_sequence */
	__u32 config_seen;
	__u8 config_value[AUKLET_VIRTIO_CONFIG_WRITE];
	__u32 reserved;
	struct auklet_virtio_queue queue[AUKLET_MAX_QUEUES];
};

#endif /* _UAPI_ASM_WASM_HOST_H */
