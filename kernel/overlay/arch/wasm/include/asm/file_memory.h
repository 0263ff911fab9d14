/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_FILE_MEMORY_H
#define _ASM_WASM_FILE_MEMORY_H

/* Returns how many pages the files of tmpfs, together, may still take. */
unsigned long arch_pages_for_files(void);

#endif /* _ASM_WASM_FILE_MEMORY_H */
