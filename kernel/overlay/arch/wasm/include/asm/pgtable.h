/* SPDX-License-Identifier: GPL-2.0-only */
/* There are no page tables, but generic code wants these names. */
#ifndef _ASM_WASM_PGTABLE_H
#define _ASM_WASM_PGTABLE_H

#include <asm-generic/pgtable-nopud.h>
#include <asm/page.h>
#include <asm/processor.h>

#define pgd_present(pgd)	(1)
#define pgd_none(pgd)		(0)
#define pgd_bad(pgd)		(0)
#define pgd_clear(pgdp)
#define pmd_offset(a, b)	((void *)0)

#define PAGE_NONE		__pgprot(0)
#define PAGE_SHARED		__pgprot(0)
#define PAGE_COPY		__pgprot(0)
#define PAGE_READONLY		__pgprot(0)
#define PAGE_KERNEL		__pgprot(0)
#define pgprot_writecombine(prot)	(prot)
#define pgprot_noncached(prot)		(prot)

/*
 * What mm/shmem.c and fs/ramfs/file-mmu.c want beyond that. There is no swap,
 * no page fault, and do_mmap() finds the place of a mapping itself, so none of
 * this is ever called.
 */
#define pte_none(pte)			(1)
#define pte_present(pte)		(0)
#define pte_swp_exclusive(pte)		(0)
#define pte_swp_clear_exclusive(pte)	(pte)
#define pte_swp_uffd_wp(pte)		(0)
#define pte_swp_clear_uffd_wp(pte)	(pte)
#define __pte_to_swp_entry(pte)		((swp_entry_t) { pte_val(pte) })
#define __swp_entry_to_pte(entry)	__pte((entry).val)
#define __swp_entry(type, offset)	((swp_entry_t) { (type) | (offset) << 5 })
#define __swp_type(entry)		((entry).val & 0x1f)
#define __swp_offset(entry)		((entry).val >> 5)
#define arch_swap_restore(entry, folio)	do { } while (0)
#define maybe_unlock_mmap_for_io(vmf, file)	(file)
#define mm_get_unmapped_area(mm, file, addr, len, pgoff, flags)	((unsigned long)-ENODEV)

#define swapper_pg_dir		((pgd_t *)0)

extern unsigned char empty_zero_page[PAGE_SIZE];
#define ZERO_PAGE(vaddr)	virt_to_page(empty_zero_page)

#define VMALLOC_START		0UL
#define VMALLOC_END		0xffffffffUL

#endif /* _ASM_WASM_PGTABLE_H */
