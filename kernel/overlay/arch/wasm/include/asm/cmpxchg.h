/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_CMPXCHG_H
#define _ASM_WASM_CMPXCHG_H

#include <linux/types.h>

#define arch_xchg(ptr, new)						\
	((typeof(*(ptr)))__atomic_exchange_n((ptr), (typeof(*(ptr)))(new), __ATOMIC_SEQ_CST))

#define arch_cmpxchg(ptr, old, new)					\
({									\
	typeof(*(ptr)) __expected = (typeof(*(ptr)))(old);		\
									\
	__atomic_compare_exchange_n((ptr), &__expected,			\
				    (typeof(*(ptr)))(new), false,	\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	__expected;							\
})

#define arch_cmpxchg_local	arch_cmpxchg
#define arch_cmpxchg64		arch_cmpxchg
#define arch_cmpxchg64_local	arch_cmpxchg
#define system_has_cmpxchg64()	1

#endif /* _ASM_WASM_CMPXCHG_H */
