/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* System call numbers: the generic 32-bit set without 32-bit time. */
#ifndef _UAPI_ASM_WASM_UNISTD_H
#define _UAPI_ASM_WASM_UNISTD_H

#include <asm/unistd_32.h>

/* In the range that asm-generic leaves to architectures (244 to 259). */
#define __NR_wasm_signal_frame	244
#define __NR_wasm_safepoint	245

#endif /* _UAPI_ASM_WASM_UNISTD_H */
