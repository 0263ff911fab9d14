/* SPDX-License-Identifier: MIT */
/* What the system call stub offers to the rest of this port. */
#include <features.h>
#include <stdint.h>

/* Not an error number and not the kernel's -4094: the caller must cancel the thread. */
#define WASM_CANCELLED (-4093)

hidden long __wasm_run_signals(uintptr_t, uintptr_t);
hidden long __wasm_syscall_cancellable(uintptr_t, uintptr_t,
	long, long, long, long, long, long, long);
