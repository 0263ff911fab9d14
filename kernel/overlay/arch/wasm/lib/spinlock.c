// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for another CPU. The host's cores may be fewer than the guest's CPUs, so after some
 * spinning a waiter sleeps in the host; it must still take interrupts if they are enabled, or
 * it would block a CPU that waits for it to answer a function call.
 */
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/processor.h>
#include <linux/spinlock.h>
#include <asm/globals.h>
#include <asm/machine.h>

/*
 * The only wait instruction of the kernel; futex_wait_word() is what others call. V8 before 12 (Node 20) compiles it wrongly in its first tier: it saves the
 * address as 64 bits in a slot of 32, and so zeroes part of the local variable that lies above. Here that is
 * the timeout, which nobody reads again. So nobody may inline this (build.sh tells wasm-opt, too).
 */
noinline int wasm_wait_word(u32 *word, u32 expected, s64 timeout_ns)
{
	return __builtin_wasm_memory_atomic_wait32((int *)word, expected, timeout_ns);
}

#define SPINS_BEFORE_SLEEP	200
#define LONGEST_SLEEP_NS	(50 * 1000)

void cpu_relax(void)
{
	static u32 never, relaxed;	/* an inexact count does */

	leave_ended_machine();
	/* While a CPU's own worker runs the idle task, nobody else watches the timer. */
	if (get_wasm_home_cpu())
		wasm_check_deadline();
	if (get_wasm_irqs_enabled())
		wasm_poll_interrupts();
	/* Spinning may starve the thread that we wait for: give up the core now and then. */
	if (++relaxed % SPINS_BEFORE_SLEEP == 0)
		futex_wait_word(&never, 0, 1000);
}
EXPORT_SYMBOL(cpu_relax);

void wasm_spin_lock_slow(arch_spinlock_t *lock)
{
	unsigned int spins;

	for (spins = 0; spins < SPINS_BEFORE_SLEEP; spins++) {
		if (READ_ONCE(lock->word) == 0 && arch_spin_trylock(lock))
			return;
		if (get_wasm_irqs_enabled())
			wasm_poll_interrupts();
	}
	/* 2 while anybody sleeps: who unlocks then wakes one, which keeps the 2 for the others. */
	while (word_exchange(&lock->word, 2) != 0) {
		futex_wait_word(&lock->word, 2, get_wasm_irqs_enabled() ? LONGEST_SLEEP_NS :
									LONGEST_BLIND_WAIT_NS);
		if (get_wasm_irqs_enabled())
			wasm_poll_interrupts();
	}
}
EXPORT_SYMBOL(wasm_spin_lock_slow);

void wasm_spin_unlock_slow(arch_spinlock_t *lock)
{
	futex_wake_word(&lock->word, 1);
}
EXPORT_SYMBOL(wasm_spin_unlock_slow);
