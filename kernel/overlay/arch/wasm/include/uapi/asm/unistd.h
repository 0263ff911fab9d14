/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* System call numbers: the generic 32-bit set without 32-bit time. */
#ifndef _UAPI_ASM_WASM_UNISTD_H
#define _UAPI_ASM_WASM_UNISTD_H

#include <asm/unistd_32.h>

/* asm-generic leaves 244 to 259 to architectures. */
#define __NR_wasm_signal_frame	244
#define __NR_wasm_safepoint	245
#define __NR_wasm_atomic	246

/* The first argument of wasm_atomic(). */
#define WASM_ATOMIC_SWAP	0
#define WASM_ATOMIC_ADD		1
#define WASM_ATOMIC_AND		2
#define WASM_ATOMIC_OR		3
/* Swaps if the word is equal to the value that the last argument points to. */
#define WASM_ATOMIC_COMPARE	4

#endif /* _UAPI_ASM_WASM_UNISTD_H */
