/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_ATOMIC_H
#define _ASM_WASM_ATOMIC_H

#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cmpxchg.h>

#define WASM_ATOMIC_FETCH(prefix, type, ctype, op)			\
static __always_inline ctype						\
arch_##prefix##_fetch_##op(ctype i, type *v)				\
{									\
	return __atomic_fetch_##op(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static __always_inline void arch_##prefix##_##op(ctype i, type *v)	\
{									\
	__atomic_fetch_##op(&v->counter, i, __ATOMIC_SEQ_CST);		\
}

#define WASM_ATOMIC_RETURN(prefix, type, ctype, op, c_op)		\
static __always_inline ctype						\
arch_##prefix##_##op##_return(ctype i, type *v)				\
{									\
	return __atomic_fetch_##op(&v->counter, i, __ATOMIC_SEQ_CST) c_op i;	\
}

#define WASM_ATOMICS(prefix, type, ctype)				\
static __always_inline ctype arch_##prefix##_read(const type *v)	\
{									\
	return __READ_ONCE(v->counter);					\
}									\
static __always_inline void arch_##prefix##_set(type *v, ctype i)	\
{									\
	__WRITE_ONCE(v->counter, i);					\
}									\
WASM_ATOMIC_FETCH(prefix, type, ctype, add)				\
WASM_ATOMIC_FETCH(prefix, type, ctype, sub)				\
WASM_ATOMIC_FETCH(prefix, type, ctype, and)				\
WASM_ATOMIC_FETCH(prefix, type, ctype, or)				\
WASM_ATOMIC_FETCH(prefix, type, ctype, xor)				\
WASM_ATOMIC_RETURN(prefix, type, ctype, add, +)				\
WASM_ATOMIC_RETURN(prefix, type, ctype, sub, -)

WASM_ATOMICS(atomic, atomic_t, int)

#define arch_atomic_add_return	arch_atomic_add_return
#define arch_atomic_sub_return	arch_atomic_sub_return
#define arch_atomic_fetch_add	arch_atomic_fetch_add
#define arch_atomic_fetch_sub	arch_atomic_fetch_sub
#define arch_atomic_fetch_and	arch_atomic_fetch_and
#define arch_atomic_fetch_or	arch_atomic_fetch_or
#define arch_atomic_fetch_xor	arch_atomic_fetch_xor

/*
 * An aligned 64-bit access is single-copy atomic only if it is an atomic
 * instruction. So reads and writes are atomic instructions too.
 */
typedef struct {
	s64 __aligned(8) counter;
} atomic64_t;

#define ATOMIC64_INIT(i)	{ (i) }

static __always_inline s64 arch_atomic64_read(const atomic64_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_SEQ_CST);
}

static __always_inline void arch_atomic64_set(atomic64_t *v, s64 i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_SEQ_CST);
}

WASM_ATOMIC_FETCH(atomic64, atomic64_t, s64, add)
WASM_ATOMIC_FETCH(atomic64, atomic64_t, s64, sub)
WASM_ATOMIC_FETCH(atomic64, atomic64_t, s64, and)
WASM_ATOMIC_FETCH(atomic64, atomic64_t, s64, or)
WASM_ATOMIC_FETCH(atomic64, atomic64_t, s64, xor)
WASM_ATOMIC_RETURN(atomic64, atomic64_t, s64, add, +)
WASM_ATOMIC_RETURN(atomic64, atomic64_t, s64, sub, -)

#define arch_atomic64_add_return	arch_atomic64_add_return
#define arch_atomic64_sub_return	arch_atomic64_sub_return
#define arch_atomic64_fetch_add		arch_atomic64_fetch_add
#define arch_atomic64_fetch_sub		arch_atomic64_fetch_sub
#define arch_atomic64_fetch_and		arch_atomic64_fetch_and
#define arch_atomic64_fetch_or		arch_atomic64_fetch_or
#define arch_atomic64_fetch_xor		arch_atomic64_fetch_xor

#endif /* _ASM_WASM_ATOMIC_H */
