/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wasm knows two memory orders: none, and sequential consistency. So every
 * barrier is a full one.
 */
#ifndef _ASM_WASM_BARRIER_H
#define _ASM_WASM_BARRIER_H

#define mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define rmb()	mb()
#define wmb()	mb()

#define __smp_store_release(p, v)					\
do {									\
	compiletime_assert_atomic_type(*(p));				\
	__atomic_store_n((p), (v), __ATOMIC_SEQ_CST);			\
} while (0)

#define __smp_load_acquire(p)						\
({									\
	compiletime_assert_atomic_type(*(p));				\
	(typeof(*(p)))__atomic_load_n((p), __ATOMIC_SEQ_CST);		\
})

/* A read-modify-write instruction is a full barrier by itself. */
#define __smp_mb__before_atomic()	barrier()
#define __smp_mb__after_atomic()	barrier()

#include <asm-generic/barrier.h>

#endif /* _ASM_WASM_BARRIER_H */
