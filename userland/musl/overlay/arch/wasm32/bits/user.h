/* SPDX-License-Identifier: MIT */
#define ELF_NGREG 16
typedef unsigned long elf_greg_t, elf_gregset_t[ELF_NGREG];
typedef struct { unsigned long __unused; } elf_fpregset_t;
