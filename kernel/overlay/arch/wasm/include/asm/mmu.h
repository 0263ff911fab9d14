/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_MMU_H
#define _ASM_WASM_MMU_H

#include <uapi/asm/host.h>

/*
 * An access table fills one page of K, and describes 1 << ACCESS_TABLE_SHIFT
 * bytes of U: mm/access.c.
 */
#define ACCESS_TABLE_SHIFT	26
#define ACCESS_TABLES		(1U << (32 - ACCESS_TABLE_SHIFT))

struct access_table;

typedef struct {
	unsigned long end_brk;		/* generic nommu code wants it */
	int memory;			/* number of U, or AUKLET_NO_MEMORY */
	/* The module's static memory is [0, image_end). */
	unsigned long image_end;
	/* Mappings are placed from here upwards. */
	unsigned long mmap_base;
	struct access_table *access[ACCESS_TABLES];
	/* How many live areas the program may store to: mm/shared.c. */
	unsigned int shared_areas;
} mm_context_t;

#endif /* _ASM_WASM_MMU_H */
