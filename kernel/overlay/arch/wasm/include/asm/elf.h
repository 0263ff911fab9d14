/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs are wasm modules. Only the generic code of core dumps and register
 * sets uses these ELF definitions.
 */
#ifndef _ASM_WASM_ELF_H
#define _ASM_WASM_ELF_H

#include <asm/ptrace.h>

#define ELF_CLASS	ELFCLASS32
#define ELF_DATA	ELFDATA2LSB
#define ELF_ARCH	EM_NONE
#define ELF_PLATFORM	NULL
#define ELF_HWCAP	0
#define ELF_EXEC_PAGESIZE	PAGE_SIZE
#define elf_check_arch(header)	0

#define ELF_NGREG	(sizeof(struct user_regs_struct) / sizeof(unsigned long))
typedef unsigned long elf_greg_t;
typedef elf_greg_t elf_gregset_t[ELF_NGREG];
typedef struct { } elf_fpregset_t;

#endif /* _ASM_WASM_ELF_H */
