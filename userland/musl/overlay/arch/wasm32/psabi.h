/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the psABI (docs/abi-programs.md) that the C library and the
 * kernel both have. tests/tools/psabi.c compares them with the kernel's
 * headers.
 */

/* The result of a system call that must run a handler before it returns. */
#define WASM_SIGNAL_PENDING	(-4094)

/* The first argument of wasm_atomic(). */
#define WASM_ATOMIC_SWAP	0
#define WASM_ATOMIC_ADD		1
#define WASM_ATOMIC_AND		2
#define WASM_ATOMIC_OR		3
#define WASM_ATOMIC_COMPARE	4
