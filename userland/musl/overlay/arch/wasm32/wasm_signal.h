/* SPDX-License-Identifier: MIT */
/* What the system call stub offers to the rest of the wasm32 port. */
#include <features.h>
#include <stdint.h>
#include "psabi.h"

/*
 * The result of a system call whose caller must cancel the thread. It is
 * neither an error number nor WASM_SIGNAL_PENDING.
 */
#define WASM_CANCELLED (-4093)

hidden long __wasm_run_signals(uintptr_t, uintptr_t);
hidden long __wasm_syscall_cancellable(uintptr_t, uintptr_t,
	long, long, long, long, long, long, long);
