/* SPDX-License-Identifier: MIT */
/* What the system call stub offers to the rest of this port. */
#include <features.h>
#include <stdint.h>
#include "psabi.h"

/* Neither an error number nor WASM_SIGNAL_PENDING: the caller must cancel the thread. */
#define WASM_CANCELLED (-4093)

hidden long __wasm_run_signals(uintptr_t, uintptr_t);
hidden long __wasm_syscall_cancellable(uintptr_t, uintptr_t,
	long, long, long, long, long, long, long);
