/* SPDX-License-Identifier: MIT */
/*
 * The thread pointer is the linker's global __tls_base. The thread's TLS block
 * starts there, and its struct pthread ends there.
 */
static inline uintptr_t __get_tp(void)
{
	return (uintptr_t)__builtin_wasm_tls_base();
}

#define TLS_ABOVE_TP
#define GAP_ABOVE_TP 0

/* This is no register: the system call stub writes it (syscall_cp.c). */
#define MC_PC __pc
