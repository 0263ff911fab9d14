/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every function that the kernel imports from the engine around its worker
 * (docs/abi-engine.md). The host is another worker: it reads K (asm/host.h).
 */
#ifndef _ASM_WASM_ENGINE_CALLS_H
#define _ASM_WASM_ENGINE_CALLS_H

#include <linux/types.h>

struct task_struct;

#define ENGINE_CALL(name) __attribute__((import_module("engine"), import_name(#name)))

/*
 * The engine's monotonic clock in milliseconds, from a moment that is another one for each worker.
 * A number costs an engine less than a 64-bit integer would; the call about 300 ns in Chromium.
 */
double engine_milliseconds(void) ENGINE_CALL(now);

/* A wasm global, as in asm/globals.h: milliseconds from that moment to the machine's. The host sets it. */
__asm__(".globaltype wasm_clock_offset, f64");
static __always_inline double get_wasm_clock_offset(void)
{
	double value;

	__asm__ volatile("global.get wasm_clock_offset\n"
			 "local.set %0"
			 : "=r" (value) : : "memory");
	return value;
}

/*
 * The monotonic clock of the machine in nanoseconds: the host's, which no change of the wall clock
 * enters. A double has its nanoseconds for 100 days.
 */
static inline u64 engine_now(void)
{
	return (u64)((engine_milliseconds() + get_wasm_clock_offset()) * 1000000.0);
}

/* Early console and panic text. */
void engine_console_write(const char *text, u32 length) ENGINE_CALL(console_write);

/* Compiles a program image of @length bytes in @pieces of AUKLET_MODULE_PIECE; its module id or a negative errno. */
int engine_module_compile(const u8 *const *pieces, u32 length) ENGINE_CALL(module_compile);

/* Binds the user-access functions of this worker to memory @id, -1 to none. */
int engine_bind_memory(int id) ENGINE_CALL(bind_memory);

/* Whether this worker has been told of memory @id, so that it can be bound: 1 or 0. */
int engine_knows_memory(int id) ENGINE_CALL(knows_memory);

/* Copies a range of one user memory to the same addresses of another. */
int engine_memory_copy(u32 to, u32 from, u32 start, u32 length) ENGINE_CALL(memory_copy);

/* __tls_base of the program that this worker runs. */
u32 engine_program_tls(void) ENGINE_CALL(program_tls);

/* Writes the engine's stack trace of the caller as text; its length. */
int engine_backtrace(char *text, u32 size) ENGINE_CALL(backtrace);

/*
 * An event loop that waits on a word has been notified: worker @slot's, or the host's (-1). WebKit may lose that until
 * something else happens there (docs/decisions/0055-event-loops-that-sleep-on.md), so the host sees to it.
 */
void engine_wake(int slot) ENGINE_CALL(wake);

/*
 * For a CPU's own worker, where auklet_machine.coroutines is set. resume: suspends the caller's stack and resumes
 * that of @task, or calls wasm_run_coroutine(@task) on a new one; returns after yield(), or the end of wasm_run_coroutine().
 */
void engine_coroutine_resume(struct task_struct *task) ENGINE_CALL(coroutine_resume);
void engine_coroutine_yield(struct task_struct *task) ENGINE_CALL(coroutine_yield);

/* The machine has ended, with AUKLET_HALT_*. Returns; the caller then stops its CPU. */
void engine_halt(unsigned int reason) ENGINE_CALL(halt);

#endif /* _ASM_WASM_ENGINE_CALLS_H */
