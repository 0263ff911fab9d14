/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU is a thread of the computer, which may take the processor from it while
 * it holds a lock. So a waiter spins a little and then sleeps on the lock word.
 */
#ifndef _ASM_WASM_SPINLOCK_H
#define _ASM_WASM_SPINLOCK_H

#include <linux/compiler.h>
#include <asm/spinlock_types.h>

void wasm_spin_lock_slow(arch_spinlock_t *lock);
void wasm_spin_unlock_slow(arch_spinlock_t *lock);

static __always_inline bool arch_spin_trylock(arch_spinlock_t *lock)
{
	u32 expected = 0;

	return __atomic_compare_exchange_n(&lock->word, &expected, 1, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static __always_inline void arch_spin_lock(arch_spinlock_t *lock)
{
	if (unlikely(!arch_spin_trylock(lock)))
		wasm_spin_lock_slow(lock);
}

static __always_inline void arch_spin_unlock(arch_spinlock_t *lock)
{
	if (unlikely(__atomic_exchange_n(&lock->word, 0, __ATOMIC_SEQ_CST) == 2))
		wasm_spin_unlock_slow(lock);
}

static __always_inline int arch_spin_value_unlocked(arch_spinlock_t lock)
{
	return lock.word == 0;
}

static __always_inline int arch_spin_is_locked(arch_spinlock_t *lock)
{
	return READ_ONCE(lock->word) != 0;
}

static __always_inline int arch_spin_is_contended(arch_spinlock_t *lock)
{
	return READ_ONCE(lock->word) == 2;
}

#include <asm/qrwlock.h>

#endif /* _ASM_WASM_SPINLOCK_H */
