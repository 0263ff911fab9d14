/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations. The compiler's builtins are single wasm instructions. They
 * do not suffice for memory that is shared with other processes, because each
 * process has a copy of it: there the kernel makes the operation
 * (docs/abi-programs.md, "Shared memory").
 */
#include <features.h>
#include <stddef.h>
#include <stdint.h>
#include "psabi.h"

extern hidden struct __shared_range {
	uintptr_t first, end;
} __shared_range;

hidden void __note_shared(void *start, size_t size);
hidden int __shared_atomic(int operation, volatile int *p, int operand, int expected);

static inline int __is_shared(volatile void *p)
{
	return __builtin_expect((uintptr_t)p >= __shared_range.first, 0) && (uintptr_t)p < __shared_range.end;
}

#define a_barrier a_barrier
static inline void a_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#define a_cas a_cas
static inline int a_cas(volatile int *p, int t, int s)
{
	if (__is_shared(p)) return __shared_atomic(WASM_ATOMIC_COMPARE, p, s, t);
	__atomic_compare_exchange_n(p, &t, s, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return t;
}

#define a_swap a_swap
static inline int a_swap(volatile int *p, int v)
{
	if (__is_shared(p)) return __shared_atomic(WASM_ATOMIC_SWAP, p, v, 0);
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_add a_fetch_add
static inline int a_fetch_add(volatile int *p, int v)
{
	if (__is_shared(p)) return __shared_atomic(WASM_ATOMIC_ADD, p, v, 0);
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_and a_fetch_and
static inline int a_fetch_and(volatile int *p, int v)
{
	if (__is_shared(p)) return __shared_atomic(WASM_ATOMIC_AND, p, v, 0);
	return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_or a_fetch_or
static inline int a_fetch_or(volatile int *p, int v)
{
	if (__is_shared(p)) return __shared_atomic(WASM_ATOMIC_OR, p, v, 0);
	return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}

#define a_store a_store
static inline void a_store(volatile int *p, int v)
{
	if (__is_shared(p)) __shared_atomic(WASM_ATOMIC_SWAP, p, v, 0);
	else __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

#define a_clz_32 a_clz_32
static inline int a_clz_32(uint32_t x)
{
	return __builtin_clz(x);
}

#define a_ctz_32 a_ctz_32
static inline int a_ctz_32(uint32_t x)
{
	return __builtin_ctz(x);
}

#define a_ctz_64 a_ctz_64
static inline int a_ctz_64(uint64_t x)
{
	return __builtin_ctzll(x);
}

#define a_clz_64 a_clz_64
static inline int a_clz_64(uint64_t x)
{
	return __builtin_clzll(x);
}

#define a_crash a_crash
static inline void a_crash(void)
{
	__builtin_trap();
}
