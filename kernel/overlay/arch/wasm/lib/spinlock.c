// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for another CPU.
 *
 * The computer may have fewer processors than the machine has CPUs. So a waiter
 * spins a little, and then its thread sleeps. If its interrupts are enabled it
 * must still take them: another CPU may wait for it to answer a function call.
 */
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/processor.h>
#include <linux/spinlock.h>
#include <asm/globals.h>
#include <asm/machine.h>

/*
 * The only wait instruction of the kernel. All others call futex_wait_word().
 *
 * The first tier of V8 before 12 (Node 20) compiles the instruction wrongly. It
 * saves the address as 64 bits in a slot of 32, and so zeroes part of the local
 * variable that lies above. Here that is the timeout, which nothing reads
 * again. So this must not be inlined (build.sh tells wasm-opt the same).
 */
noinline int wasm_wait_word(u32 *word, u32 expected, s64 timeout_ns)
{
	return __builtin_wasm_memory_atomic_wait32((int *)word, expected, timeout_ns);
}

#define SPINS_BEFORE_SLEEP	200
#define LONGEST_SLEEP_NS	(50 * 1000)

void cpu_relax(void)
{
	static u32 never, relaxed;	/* the count need not be exact */

	leave_ended_machine();
	/*
	 * While a CPU's own worker executes kernel code, no other thread waits
	 * for the deadline of the CPU's timer.
	 */
	if (get_wasm_home_cpu())
		wasm_check_deadline();
	if (get_wasm_irqs_enabled())
		wasm_poll_interrupts();
	/*
	 * Give the processor away now and then: spinning may starve the thread
	 * that we wait for.
	 */
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
	/*
	 * The word is 2 while a waiter may sleep. Then the holder wakes one
	 * waiter when it unlocks. That one stores 2 again, for the others.
	 */
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
