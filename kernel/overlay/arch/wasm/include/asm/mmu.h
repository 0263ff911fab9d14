/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_MMU_H
#define _ASM_WASM_MMU_H

#include <uapi/asm/host.h>

/* One page of the kernel's describes so much of a program's memory: mm/access.c. */
#define ACCESS_TABLE_SHIFT	26
#define ACCESS_TABLES		(1U << (32 - ACCESS_TABLE_SHIFT))

struct access_table;

typedef struct {
	unsigned long end_brk;	/* generic nommu code wants it */
	int memory;		/* number of the U, or AUKLET_NO_MEMORY */
	unsigned long image_end;	/* the module's static memory is [0, image_end) */
	unsigned long mmap_base;	/* mappings are placed from here upwards */
	struct access_table *access[ACCESS_TABLES];
	unsigned int shared_areas;	/* how many live areas the program may store to (mm/shared.c) */
} mm_context_t;

#endif /* _ASM_WASM_MMU_H */
