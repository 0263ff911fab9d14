/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SECTIONS_H
#define _ASM_WASM_SECTIONS_H

/*
 * The address of a function is its index in the function table, and no object
 * can be placed at an index. So the bounds of the text are the values of two
 * pointers (link.sh makes them) and not the addresses of two arrays. As lvalues of
 * array type they suit both the generic declarations and their users.
 */
#define _stext	(*wasm_text_start)
#define _etext	(*wasm_text_end)

/* The linker's names. It knows no sections, so all data of the image is what is between these, also what others free after the boot. */
#define _sdata	__global_base
#define _edata	__data_end
#define _end	__heap_base

#include <asm-generic/sections.h>

#endif /* _ASM_WASM_SECTIONS_H */
