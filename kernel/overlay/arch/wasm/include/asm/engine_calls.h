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
 * The engine's monotonic clock in milliseconds. Each worker counts from a
 * moment of its own. A double costs the engine less than a 64-bit integer
 * would. The call takes about 300 ns in Chromium.
 */
double engine_milliseconds(void) ENGINE_CALL(now);

/*
 * A wasm global, as those in asm/globals.h: the milliseconds to add to this
 * worker's engine_milliseconds() for the machine's clock. The script of the
 * worker sets it before it calls anything in the kernel.
 */
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
 * The monotonic clock of the machine in nanoseconds. It is the host's clock,
 * which changes of the wall clock do not move. A double is exact to the
 * nanosecond for 100 days.
 */
static inline u64 engine_now(void)
{
	return (u64)((engine_milliseconds() + get_wasm_clock_offset()) * 1000000.0);
}

/* Prints early console and panic text. */
void engine_console_write(const char *text, u32 length) ENGINE_CALL(console_write);

/*
 * Compiles a program image of @length bytes, which lies in @pieces of
 * AUKLET_MODULE_PIECE bytes. Returns its module id or a negative errno.
 */
int engine_module_compile(const u8 *const *pieces, u32 length) ENGINE_CALL(module_compile);

/* Binds this worker's user-access functions to U number @id, or none (-1). */
int engine_bind_memory(int id) ENGINE_CALL(bind_memory);

/*
 * Returns 1 if this worker was told of U number @id and so can bind it, or 0.
 */
int engine_knows_memory(int id) ENGINE_CALL(knows_memory);

/* Copies a range of one U to the same addresses of another. */
int engine_memory_copy(u32 to, u32 from, u32 start, u32 length) ENGINE_CALL(memory_copy);

/* Returns __tls_base of the program that this worker runs. */
u32 engine_program_tls(void) ENGINE_CALL(program_tls);

/* Writes the engine's stack trace of the caller as text. Returns its length. */
int engine_backtrace(char *text, u32 size) ENGINE_CALL(backtrace);

/*
 * Tells the engine that a notification went to an event loop that waits on a
 * word: that of worker @slot, or the host's (-1). WebKit may not deliver the
 * notification until something else happens in that worker, so the engine sends
 * it a message too (docs/decisions/0055-event-loops-that-sleep-on.md).
 */
void engine_wake(int slot) ENGINE_CALL(wake);

/*
 * Tells the owner that a port of TCP is open now, or no longer. The messages of
 * two workers may change places: how often a port was opened and closed counts,
 * and not what came last.
 */
void engine_port(u32 port, bool is_open) ENGINE_CALL(port);

/*
 * Only for a CPU's own worker, and only if auklet_machine.coroutines is set.
 * resume() suspends the caller's stack. It then resumes the stack of @task, or
 * calls wasm_run_coroutine(@task) on a new one. It returns when the task calls
 * yield(), or when wasm_run_coroutine() has returned.
 */
void engine_coroutine_resume(struct task_struct *task) ENGINE_CALL(coroutine_resume);
void engine_coroutine_yield(struct task_struct *task) ENGINE_CALL(coroutine_yield);

/*
 * Ends the machine, for the reason AUKLET_HALT_*. It returns: the caller then
 * stops its CPU.
 */
void engine_halt(unsigned int reason) ENGINE_CALL(halt);

#endif /* _ASM_WASM_ENGINE_CALLS_H */
