/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_MMU_H
#define _ASM_WASM_MMU_H

#define WASM_NO_MEMORY	(-1)

typedef struct {
	unsigned long end_brk;	/* generic nommu code wants it */
	int memory;		/* number of the U, or WASM_NO_MEMORY */
	unsigned long image_end;	/* the module's static memory is [0, image_end) */
	unsigned long mmap_base;	/* mappings are placed from here upwards */
	unsigned int shared_areas;	/* how many live areas the program may store to (mm/shared.c) */
} mm_context_t;

#endif /* _ASM_WASM_MMU_H */
