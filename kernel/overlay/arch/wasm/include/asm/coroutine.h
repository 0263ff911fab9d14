/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel threads as coroutines of a CPU's own worker:
 * arch/wasm/kernel/coroutine.c.
 *
 * The stack of a coroutine cannot leave its worker, so the thread is pinned to
 * that worker's CPU. A thread that can begin again in a function, instead of
 * returning from schedule(), says so here. The scheduler may then move it.
 */
#ifndef _ASM_WASM_COROUTINE_H
#define _ASM_WASM_COROUTINE_H

/*
 * Lets the scheduler move the current kernel thread until the thread calls
 * arch_kthread_stay(). The thread may lose its stack whenever it sleeps in that
 * time. It then goes on in @function, which must not return.
 */
void arch_kthread_may_move(void (*function)(void *argument), void *argument);

/* Pins the current kernel thread to this CPU again. */
void arch_kthread_stay(void);

#endif /* _ASM_WASM_COROUTINE_H */
