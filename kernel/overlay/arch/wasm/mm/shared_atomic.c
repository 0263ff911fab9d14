// SPDX-License-Identifier: GPL-2.0-only
/*
 * Atomic operations on words that programs may share: the system call
 * wasm_atomic, and what futexes change.
 *
 * Where processes share a page, each has a copy of it (shared.c), and an atomic
 * instruction is atomic in its own copy only.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <asm/machine.h>
#include "internal.h"

static u32 result_of(const struct word_change *change)
{
	switch (change->operation) {
	case WASM_ATOMIC_ADD:
		return change->old + change->operand;
	case WASM_ATOMIC_AND:
		return change->old & change->operand;
	case WASM_ATOMIC_OR:
		return change->old | change->operand;
	default:
		return change->operand;
	}
}

/*
 * Makes the change in the program's U. Other threads may change the word
 * meanwhile.
 */
int wasm_change_word(struct word_change *change)
{
	u32 seen;

	if (get_user(seen, change->word))
		return -EFAULT;
	do {
		change->old = seen;
		if (change->operation == WASM_ATOMIC_COMPARE && seen != change->expected)
			return 0;
		if (wasm_user_compare_exchange(change->word, change->old, result_of(change), &seen))
			return -EFAULT;
	} while (seen != change->old);
	return 0;
}

static int change_any_word(struct word_change *change)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int error;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, (unsigned long)change->word);
	if (vma && area_is_live(vma) && wasm_may_store(vma))
		error = wasm_change_shared_word(vma, change);
	else
		error = wasm_change_word(change);
	mmap_read_unlock(mm);
	return error;
}

/* kernel/futex: what futex_cmpxchg_value_locked() does elsewhere. */
int compare_exchange_in_area(u32 *curval, u32 __user *uaddr, u32 uval, u32 newval)
{
	struct word_change change = {
		.word = uaddr,
		.operation = WASM_ATOMIC_COMPARE,
		.operand = newval,
		.expected = uval,
	};

	/*
	 * Who was killed gives up its robust locks. Others may look then at
	 * what it stored.
	 */
	if (current->flags & PF_EXITING && current->mm->context.shared_areas)
		wasm_publish_areas(current->mm);
	if (change_any_word(&change))
		return -EFAULT;
	*curval = change.old;
	return 0;
}

/*
 * An atomic operation on a word that may be shared. Its old value goes to
 * *@value, where a compare finds the value that it expects.
 */
SYSCALL_DEFINE4(wasm_atomic, unsigned int, operation, u32 __user *, word, u32, operand,
		u32 __user *, value)
{
	struct word_change change = { .word = word, .operation = operation, .operand = operand };
	int error;

	if (operation > WASM_ATOMIC_COMPARE || (unsigned long)word % sizeof(u32))
		return -EINVAL;
	if (!access_ok(word, sizeof(u32)) ||
	    (operation == WASM_ATOMIC_COMPARE && get_user(change.expected, value)))
		return -EFAULT;
	error = change_any_word(&change);
	if (!error && put_user(change.old, value))
		error = -EFAULT;
	return error;
}
