/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wasm checks the type of an indirect call, so all entries of the system call
 * table have one type: a function of six longs.
 *
 * A 64-bit argument comes as two longs, low word first. A call that has one
 * does not compile unless it is in the list below. Then kernel/sys_wasm.c must
 * define its entry: without that the table does not link.
 */
#ifndef _ASM_WASM_SYSCALL_WRAPPER_H
#define _ASM_WASM_SYSCALL_WRAPPER_H

#include <linux/build_bug.h>
#include <linux/args.h>
#include <linux/kconfig.h>

#define WASM_SYSCALL_ARGS	long a, long b, long c, long d, long e, long f

#define WASM_SPLIT_fadvise64_64		1
#define WASM_SPLIT_fallocate		1
#define WASM_SPLIT_ftruncate64		1
#define WASM_SPLIT_pread64		1
#define WASM_SPLIT_pwrite64		1
#define WASM_SPLIT_readahead		1
#define WASM_SPLIT_sync_file_range	1
#define WASM_SPLIT_sync_file_range2	1
#define WASM_SPLIT_truncate64		1

#define SC_WASM_ARGS(x, ...)						\
	__MAP(x, __SC_ARGS,, a,, b,, c,, d,, e,, f)

#define __SC_WASM_FITS(t, a)						\
	(void)BUILD_BUG_ON_ZERO(sizeof(t) > sizeof(long))

#define __SYSCALL_DEFINEx(x, name, ...)					\
	CONCATENATE(__WASM_DEFINE_, __is_defined(WASM_SPLIT##name))	\
		(x, name, __VA_ARGS__)

/* sys_wasm.c has the entry, which calls the same function as this body. */
#define __WASM_DEFINE_1(x, name, ...)					\
	static inline __maybe_unused long				\
	__do_sys##name(__MAP(x, __SC_DECL, __VA_ARGS__))

#define __WASM_DEFINE_0(x, name, ...)					\
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
		__MAP(x, __SC_WASM_FITS, __VA_ARGS__);			\
		__PROTECT(x, ret, __MAP(x, __SC_ARGS, __VA_ARGS__));	\
		return ret;						\
	}								\
	static inline long __do_sys##name(__MAP(x, __SC_DECL, __VA_ARGS__))

#define SYSCALL_DEFINE0(sname)						\
	SYSCALL_METADATA(_##sname, 0);					\
	asmlinkage long __wasm_sys_##sname(WASM_SYSCALL_ARGS);		\
	asmlinkage long __wasm_sys_##sname(WASM_SYSCALL_ARGS)

#define COND_SYSCALL(name)						\
	asmlinkage long __wasm_sys_##name(WASM_SYSCALL_ARGS);		\
	asmlinkage long __weak __wasm_sys_##name(WASM_SYSCALL_ARGS)	\
	{								\
		return sys_ni_syscall();				\
	}

#endif /* _ASM_WASM_SYSCALL_WRAPPER_H */
