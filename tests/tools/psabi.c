// SPDX-License-Identifier: MIT
// The numbers of the psABI stand in the kernel's headers and in the C library's: this does not compile where they differ.
//
// A macro that is defined again must be the same to the letter, or the compiler reports it (-Werror).
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/unistd.h>

#include <sys/syscall.h>

#ifndef __NR_wasm_atomic
#error "the kernel's headers have no wasm_atomic()"
#endif
#ifndef WASM_ATOMIC_COMPARE
#error "the kernel's headers have no WASM_ATOMIC_COMPARE"
#endif

#include "psabi.h"

#undef WASM_SIGNAL_PENDING
#include <asm/sigframe.h>
#ifndef WASM_SIGNAL_PENDING
#error "the kernel's headers have no WASM_SIGNAL_PENDING"
#endif
// Again: the same, or a warning.
#include "psabi.h"
