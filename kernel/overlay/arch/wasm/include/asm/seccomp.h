/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SECCOMP_H
#define _ASM_WASM_SECCOMP_H

#include <asm/unistd.h>
#include <asm-generic/seccomp.h>

#endif /* _ASM_WASM_SECCOMP_H */
