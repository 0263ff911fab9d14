/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_FUTEX_H
#define _ASM_WASM_FUTEX_H

#include <linux/futex.h>
#include <linux/uaccess.h>

/* user-access.wat has the operations: they are atomic instructions on U. */
static inline int arch_futex_atomic_op_inuser(int op, int oparg, int *oval, u32 __user *uaddr)
{
	if ((unsigned long)uaddr & 3 || !access_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	if (op < FUTEX_OP_SET || op > FUTEX_OP_XOR)
		return -ENOSYS;
	return wasm_user_futex_op(op, oparg, uaddr, oval);
}

static inline int futex_atomic_cmpxchg_inatomic(u32 *uval, u32 __user *uaddr,
						u32 oldval, u32 newval)
{
	if ((unsigned long)uaddr & 3 || !access_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	return wasm_user_compare_exchange(uaddr, oldval, newval, uval);
}

/*
 * Compares and exchanges the word in the copies of all programs that share it
 * (mm/shared.c). May sleep.
 */
int compare_exchange_in_area(u32 *curval, u32 __user *uaddr, u32 uval, u32 newval);

#endif /* _ASM_WASM_FUTEX_H */
