/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wasm checks the type of an indirect call, so every entry of the system call
 * table has one type: six longs. Calls with 64-bit arguments get their two
 * halves in kernel/sys_wasm.c.
 */
#ifndef _ASM_WASM_SYSCALL_WRAPPER_H
#define _ASM_WASM_SYSCALL_WRAPPER_H

#define WASM_SYSCALL_ARGS	long a, long b, long c, long d, long e, long f

#define SC_WASM_ARGS(x, ...)						\
	__MAP(x, __SC_ARGS,, a,, b,, c,, d,, e,, f)

#define __SYSCALL_DEFINEx(x, name, ...)					\
	asmlinkage long __wasm_sys##name(WASM_SYSCALL_ARGS);		\
	static inline long __se_sys##name(__MAP(x, __SC_LONG, __VA_ARGS__));	\
	static inline long __do_sys##name(__MAP(x, __SC_DECL, __VA_ARGS__));	\
	asmlinkage long __wasm_sys##name(WASM_SYSCALL_ARGS)		\
	{								\
		return __se_sys##name(SC_WASM_ARGS(x, __VA_ARGS__));	\
	}								\
	static inline long __se_sys##name(__MAP(x, __SC_LONG, __VA_ARGS__))	\
	{								\
		long ret = __do_sys##name(__MAP(x, __SC_CAST, __VA_ARGS__));	\
									\
		__MAP(x, __SC_TEST, __VA_ARGS__);			\
		__PROTECT(x, ret, __MAP(x, __SC_ARGS, __VA_ARGS__));	\
		return ret;						\
	}								\
	static inline long __do_sys##name(__MAP(x, __SC_DECL, __VA_ARGS__))

#define SYSCALL_DEFINE0(sname)						\
	SYSCALL_METADATA(_##sname, 0);					\
	asmlinkage long __wasm_sys_##sname(WASM_SYSCALL_ARGS);		\
	asmlinkage long __wasm_sys_##sname(WASM_SYSCALL_ARGS)

#define COND_SYSCALL(name)						\
	asmlinkage long __weak __wasm_sys_##name(WASM_SYSCALL_ARGS);	\
	asmlinkage long __weak __wasm_sys_##name(WASM_SYSCALL_ARGS)	\
	{								\
		return sys_ni_syscall();				\
	}

#endif /* _ASM_WASM_SYSCALL_WRAPPER_H */
