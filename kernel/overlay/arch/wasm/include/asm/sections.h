/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SECTIONS_H
#define _ASM_WASM_SECTIONS_H

/*
 * The address of a function is its index in the function table, and no object
 * can be placed at an index. So the bounds of the text are the values of two
 * pointers, which link.sh makes, and not the addresses of two arrays. These
 * lvalues of array type suit the generic declarations and their users.
 */
#define _stext	(*wasm_text_start)
#define _etext	(*wasm_text_end)

/*
 * These are the linker's names. It knows no sections, so all data of the image
 * lies between them. That includes the init data, which other architectures
 * free after the boot.
 */
#define _sdata	__global_base
#define _edata	__data_end
#define _end	__heap_base

#include <asm-generic/sections.h>

#endif /* _ASM_WASM_SECTIONS_H */
