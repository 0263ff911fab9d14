/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_WASM_SETUP_H
#define _UAPI_ASM_WASM_SETUP_H

/* The host refuses a longer command line. */
#define COMMAND_LINE_SIZE	2048

#endif /* _UAPI_ASM_WASM_SETUP_H */
