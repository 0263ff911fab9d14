// SPDX-License-Identifier: GPL-2.0-only
/*
 * mprotect() and madvise(): what changes the flags of areas.
 *
 * System calls obey the flags (access.c); wasm cannot enforce them for the
 * program itself (docs/architecture.md, "Isolation").
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/syscalls.h>
#include "internal.h"

SYSCALL_DEFINE3(mprotect, unsigned long, start, size_t, length, unsigned long, prot)
{
	struct mm_struct *mm = current->mm;
	unsigned long at, end = start + PAGE_ALIGN(length);
	struct vm_area_struct *vma;
	int error = 0;

	if (offset_in_page(start) || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	if (!length)
		return 0;
	if (end <= start)
		return -ENOMEM;
	mmap_write_lock(mm);
	for (at = start; at < end; at = vma->vm_end) {
		vma = vma_lookup(mm, at);
		if (!vma) {
			error = -ENOMEM;
			break;
		}
		/* The flags of what is allowed at most lie four bits above. */
		if (calc_vm_prot_bits(prot, 0) & ~(vma->vm_flags >> 4) & VM_ACCESS_FLAGS) {
			error = -EACCES;
			break;
		}
	}
	if (!error)
		error = wasm_isolate_range(mm, start, end);
	for (at = start; !error && at < end; at = vma->vm_end) {
		vma = vma_lookup(mm, at);
		if (area_is_live(vma) && !(prot & PROT_WRITE))
			error = wasm_write_back(vma, vma->vm_start, vma->vm_end);
		vm_flags_reset(vma, (vma->vm_flags & ~(VM_READ | VM_WRITE | VM_EXEC)) |
				    calc_vm_prot_bits(prot, 0));
		wasm_set_access(mm, vma->vm_start, vma->vm_end, vma->vm_flags);
	}
	mmap_write_unlock(mm);
	return error;
}

/* Makes the contents those of when the range was mapped. */
static int forget_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (vma->vm_flags & VM_SHARED)
		return 0;
	if (clear_area(start, end - start, end))
		return -ENOMEM;
	if (!vma->vm_file)
		return 0;
	return wasm_read_file(vma->vm_file, start, end - start,
			      vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT));
}

static bool is_known_advice(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return true;
	}
	return false;
}

/*
 * What @advice changes of the flags of an area. Advice that is not named here
 * does nothing, because all of U is always there.
 */
static int advised_flags(const struct vm_area_struct *vma, int advice, vm_flags_t *vm_flags)
{
	switch (advice) {
	case MADV_DONTFORK:
		*vm_flags |= VM_DONTCOPY;
		break;
	case MADV_DOFORK:
		*vm_flags &= ~VM_DONTCOPY;
		break;
	case MADV_WIPEONFORK:
		if (vma->vm_file || vma->vm_flags & VM_SHARED)
			return -EINVAL;
		*vm_flags |= VM_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		*vm_flags &= ~VM_WIPEONFORK;
		break;
	case MADV_DONTDUMP:
		*vm_flags |= VM_DONTDUMP;
		break;
	case MADV_DODUMP:
		*vm_flags &= ~VM_DONTDUMP;
		break;
	case MADV_FREE:
		if (vma->vm_file || vma->vm_flags & VM_SHARED)
			return -EINVAL;
		break;
	case MADV_POPULATE_READ:
		return vma->vm_flags & VM_READ ? 0 : -EINVAL;
	case MADV_POPULATE_WRITE:
		return vma->vm_flags & VM_WRITE ? 0 : -EINVAL;
	}
	return 0;
}

/* [@start, @end) lies in @vma, which may be split. */
static int advise_range(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long start,
			unsigned long end, int advice)
{
	vm_flags_t vm_flags = vma->vm_flags;
	int error;

	if (advice == MADV_DONTNEED)
		return forget_range(vma, start, end);
	error = advised_flags(vma, advice, &vm_flags);
	if (error || vm_flags == vma->vm_flags)
		return error;
	error = wasm_isolate_range(mm, start, end);
	if (!error)
		vm_flags_reset(vma_lookup(mm, start), vm_flags);
	return error;
}

SYSCALL_DEFINE3(madvise, unsigned long, start, size_t, length, int, advice)
{
	struct mm_struct *mm = current->mm;
	unsigned long at, stop, end = start + PAGE_ALIGN(length);
	struct vm_area_struct *vma;
	int error = 0, hole = 0;

	if (!is_known_advice(advice) || offset_in_page(start) || end < start ||
	    (length && end == start))
		return -EINVAL;
	mmap_write_lock(mm);
	for (at = start; at < end && !error; at = stop) {
		/* Without an MMU, find_vma() finds nothing in a hole. */
		vma = find_vma_intersection(mm, at, end);
		/*
		 * What is mapped is advised, and the hole is reported in the
		 * end.
		 */
		if (!vma || vma->vm_start > at)
			hole = -ENOMEM;
		if (!vma)
			break;
		at = max(at, vma->vm_start);
		stop = min(end, vma->vm_end);
		error = advise_range(mm, vma, at, stop, advice);
	}
	mmap_write_unlock(mm);
	return error ?: hole;
}
