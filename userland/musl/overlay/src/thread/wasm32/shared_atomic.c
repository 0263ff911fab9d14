// SPDX-License-Identifier: MIT
// Atomic operations on memory that is shared with other processes. Each process
// has a copy of it, so the kernel makes these operations for all.
#include "atomic.h"
#include "syscall.h"

struct __shared_range __shared_range = { UINTPTR_MAX, 0 };

/*
 * Memory that may be shared is known by its lowest and its highest address.
 * Memory in between that is not shared only gets slower atomic operations.
 */
hidden void __note_shared(void *start, size_t size)
{
	uintptr_t first = (uintptr_t)start, end = first + size;
	uintptr_t seen = __atomic_load_n(&__shared_range.first, __ATOMIC_SEQ_CST);

	while (first < seen && !__atomic_compare_exchange_n(&__shared_range.first, &seen, first, 0,
	                                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	seen = __atomic_load_n(&__shared_range.end, __ATOMIC_SEQ_CST);
	while (end > seen && !__atomic_compare_exchange_n(&__shared_range.end, &seen, end, 0,
	                                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

int __shared_atomic(int operation, volatile int *p, int operand, int expected)
{
	int value = expected;

	if (__syscall(SYS_wasm_atomic, operation, p, operand, &value)) a_crash();
	return value;
}
