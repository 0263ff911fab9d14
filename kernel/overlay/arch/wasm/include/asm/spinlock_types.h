/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SPINLOCK_TYPES_H
#define _ASM_WASM_SPINLOCK_TYPES_H

#include <linux/types.h>

typedef struct {
	u32 word;	/* 0: free, 1: held, 2: held, and a waiter may sleep */
} arch_spinlock_t;

#define __ARCH_SPIN_LOCK_UNLOCKED	{ 0 }

#include <asm/qrwlock_types.h>

#endif /* _ASM_WASM_SPINLOCK_TYPES_H */
