// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system call table, and the entries of calls whose 64-bit arguments come
 * as two words (asm/syscall_wrapper.h).
 */
#include <linux/fs.h>
#include <linux/syscalls.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

static inline u64 join(long low, long high)
{
	return (u32)low | (u64)(u32)high << 32;
}

#define SPLIT_SYSCALL(name)						\
	asmlinkage long __wasm_sys_##name(WASM_SYSCALL_ARGS);		\
	asmlinkage long __wasm_sys_##name(WASM_SYSCALL_ARGS)

SPLIT_SYSCALL(truncate64)	{ return do_sys_truncate((const char __user *)a, join(b, c)); }
SPLIT_SYSCALL(ftruncate64)	{ return do_sys_ftruncate(a, join(b, c), 0); }
SPLIT_SYSCALL(fallocate)	{ return ksys_fallocate(a, b, join(c, d), join(e, f)); }
SPLIT_SYSCALL(pread64)		{ return ksys_pread64(a, (char __user *)b, c, join(d, e)); }
SPLIT_SYSCALL(pwrite64)		{ return ksys_pwrite64(a, (const char __user *)b, c, join(d, e)); }
SPLIT_SYSCALL(readahead)	{ return ksys_readahead(a, join(b, c), d); }
SPLIT_SYSCALL(sync_file_range)	{ return ksys_sync_file_range(a, join(b, c), join(d, e), f); }
SPLIT_SYSCALL(fadvise64_64)	{ return ksys_fadvise64_64(a, join(b, c), join(d, e), f); }

#define __SYSCALL_WITH_COMPAT(nr, native, compat)	__SYSCALL(nr, native)
#define __SYSCALL(nr, entry)	asmlinkage long __wasm_##entry(WASM_SYSCALL_ARGS);
#include <asm/syscall_table_32.h>
asmlinkage long __wasm_sys_wasm_signal_frame(WASM_SYSCALL_ARGS);
asmlinkage long __wasm_sys_wasm_safepoint(WASM_SYSCALL_ARGS);
asmlinkage long __wasm_sys_wasm_atomic(WASM_SYSCALL_ARGS);
#undef __SYSCALL

asmlinkage long __wasm_sys_ni_syscall(WASM_SYSCALL_ARGS)
{
	return -ENOSYS;
}

#define __SYSCALL(nr, entry)	[nr] = __wasm_##entry,

const sys_call_ptr_t sys_call_table[NR_syscalls] = {
	[0 ... NR_syscalls - 1] = __wasm_sys_ni_syscall,
#include <asm/syscall_table_32.h>
	[__NR_wasm_signal_frame] = __wasm_sys_wasm_signal_frame,
	[__NR_wasm_safepoint] = __wasm_sys_wasm_safepoint,
	[__NR_wasm_atomic] = __wasm_sys_wasm_atomic,
};
