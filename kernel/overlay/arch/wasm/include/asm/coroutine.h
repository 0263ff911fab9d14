/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel threads as coroutines of a CPU's own worker: arch/wasm/kernel/coroutine.c.
 *
 * The stack of a coroutine cannot leave its worker, so the thread is pinned to that worker's CPU. A thread that
 * can begin again from a function instead of returning from schedule() says so, and may then be moved.
 */
#ifndef _ASM_WASM_COROUTINE_H
#define _ASM_WASM_COROUTINE_H

/*
 * The current kernel thread may be moved until it calls arch_kthread_stay(). Where it sleeps
 * meanwhile it may lose its stack; then it goes on in @function, which must not return.
 */
void arch_kthread_may_move(void (*function)(void *argument), void *argument);

/* The current kernel thread stays on this CPU from here on. */
void arch_kthread_stay(void);

#endif /* _ASM_WASM_COROUTINE_H */
