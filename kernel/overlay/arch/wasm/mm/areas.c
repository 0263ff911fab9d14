// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces of programs: areas in the linear memory U of a process.
 *
 * U has no pages and no protection: an area is a promise about contents, and
 * only system calls obey what it forbids (access.c). The areas are
 * vm_area_structs in the mm's maple tree, as everywhere, so /proc shows them.
 * What they describe is memory of U itself, which grows at its end only.
 *
 * This folder takes the place of the parts of mm/nommu.c that give programs
 * kernel memory:
 *
 *   mmap.c		where an area goes and what it contains; brk, mremap
 *   protect.c		mprotect, madvise
 *   writeback.c	shared mappings of files that do not follow: msync
 *   shared*.c		shared mappings that follow their file
 *   exec.c, fork.c	the first contents of a process
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <asm/globals.h>
#include <asm/machine.h>
#include "internal.h"

/* Makes U reach to @end; new bytes are zero. The mm's own U must be bound. */
int wasm_grow_memory(struct mm_struct *mm, unsigned long end)
{
	unsigned long want = DIV_ROUND_UP_ULL((u64)end, 1UL << WASM_PAGE_SHIFT);
	unsigned long have = user_access.pages();

	if (want <= have)
		return 0;
	if (want > auklet_machine.memory_pages || user_access.grow(want - have) < 0)
		return -ENOMEM;
	auklet_machine.memory[mm->context.memory].pages = want;
	return 0;
}

/*
 * [@start, @end) is part of @vma from now on, or of no area where that is NULL.
 */
int wasm_store_area(struct mm_struct *mm, unsigned long start, unsigned long end,
		    struct vm_area_struct *vma)
{
	MA_STATE(mas, &mm->mm_mt, start, end - 1);
	int error = vma ? wasm_prepare_access(mm, start, end) : 0;

	if (!error)
		error = mas_store_gfp(&mas, vma, GFP_KERNEL);
	if (!error)
		wasm_set_access(mm, start, end, vma ? vma->vm_flags : 0);
	return error;
}

/* Whether RLIMIT_AS allows @bytes more. */
bool wasm_within_limit(struct mm_struct *mm, unsigned long bytes)
{
	return mm->total_vm + (bytes >> PAGE_SHIFT) <= rlimit(RLIMIT_AS) >> PAGE_SHIFT;
}

void wasm_count_area(struct mm_struct *mm, struct vm_area_struct *vma, long pages)
{
	mm->total_vm += pages;
	mm->hiwater_vm = max(mm->hiwater_vm, mm->total_vm);
	/* All of it is there, whether it was used or not. */
	mm->hiwater_rss = mm->hiwater_vm;
	if (vma->vm_flags & VM_EXEC)
		mm->exec_vm += pages;
	else
		mm->data_vm += pages;
}

void wasm_free_area(struct vm_area_struct *vma)
{
	if (area_is_live(vma))
		wasm_unlink_area(vma);
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	wasm_put_sums(vma);
	if (vma->vm_file)
		fput(vma->vm_file);
	vm_area_free(vma);
}

/* Takes references for the @copy of a vm_area_struct, which is not live yet. */
void wasm_get_area(struct vm_area_struct *copy)
{
	RB_CLEAR_NODE(&copy->shared.rb);
	if (copy->vm_file)
		get_file(copy->vm_file);
	if (copy->vm_ops && copy->vm_ops->open)
		copy->vm_ops->open(copy);
}

/* Splits the area at @at, so that one ends and another begins there. */
static int split_area(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long at)
{
	struct vm_area_struct *upper = vm_area_dup(vma);
	int error;

	if (!upper)
		return -ENOMEM;
	wasm_get_area(upper);
	upper->vm_start = at;
	upper->vm_pgoff += (at - vma->vm_start) >> PAGE_SHIFT;
	wasm_get_sums(upper);
	error = wasm_store_area(mm, at, vma->vm_end, upper);
	if (error) {
		wasm_free_area(upper);
		return error;
	}
	if (area_is_live(vma))
		wasm_split_live_area(vma, upper, at);
	else
		vma->vm_end = at;
	mm->map_count++;
	return 0;
}

/* Splits areas so that [start, end) has no area in part. */
int wasm_isolate_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	int error;

	vma = vma_lookup(mm, start);
	if (vma && vma->vm_start < start) {
		error = split_area(mm, vma, start);
		if (error)
			return error;
	}
	vma = vma_lookup(mm, end - 1);
	if (vma && vma->vm_end > end)
		return split_area(mm, vma, end);
	return 0;
}

int do_munmap(struct mm_struct *mm, unsigned long start, size_t length, struct list_head *uf)
{
	unsigned long end = start + PAGE_ALIGN(length);
	struct vm_area_struct *vma;
	int error;

	if (offset_in_page(start) || !length || end <= start)
		return -EINVAL;
	error = wasm_isolate_range(mm, start, end);
	if (error)
		return error;
	while ((vma = find_vma_intersection(mm, start, end))) {
		/* Elsewhere the store itself would have failed so. */
		if (wasm_write_back(vma, vma->vm_start, vma->vm_end) && area_is_live(vma))
			force_sig_fault(SIGBUS, BUS_ADRERR, (void __user *)vma->vm_start);
		error = wasm_store_area(mm, vma->vm_start, vma->vm_end, NULL);
		if (error)
			return error;
		wasm_count_area(mm, vma, -(long)vma_pages(vma));
		mm->map_count--;
		wasm_free_area(vma);
	}
	return 0;
}

int vm_munmap(unsigned long address, size_t length)
{
	struct mm_struct *mm = current->mm;
	int error;

	mmap_write_lock(mm);
	error = do_munmap(mm, address, length, NULL);
	mmap_write_unlock(mm);
	return error;
}
EXPORT_SYMBOL(vm_munmap);

SYSCALL_DEFINE2(munmap, unsigned long, address, size_t, length)
{
	return vm_munmap(address, length);
}

/*
 * Adds an area for [@start, @end) with @file at @pgoff; the caller has made
 * room.
 */
struct vm_area_struct *wasm_add_area(struct mm_struct *mm, unsigned long start, unsigned long end,
				     vm_flags_t vm_flags, struct file *file, unsigned long pgoff)
{
	struct vm_area_struct *vma = vm_area_alloc(mm);
	int error;

	if (!vma)
		return ERR_PTR(-ENOMEM);
	RB_CLEAR_NODE(&vma->shared.rb);
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_pgoff = pgoff;
	vm_flags_init(vma, vm_flags);
	if (file)
		vma->vm_file = get_file(file);
	error = wasm_store_area(mm, start, end, vma);
	if (error) {
		wasm_free_area(vma);
		return ERR_PTR(error);
	}
	mm->map_count++;
	wasm_count_area(mm, vma, vma_pages(vma));
	return vma;
}

/*
 * The last user of the address space is gone. The process itself writes shared
 * mappings back, because its worker has U bound. Anybody else who drops the
 * last reference comes after that.
 */
void exit_mmap(struct mm_struct *mm)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();
	bool bound = worker && worker->memory == mm->context.memory &&
		     mm->context.memory != AUKLET_NO_MEMORY;
	struct vm_area_struct *vma;
	unsigned long index = 0;

	mmap_write_lock(mm);
	mt_for_each(&mm->mm_mt, vma, index, ULONG_MAX) {
		/* A live area can be read without U being bound. */
		if (bound || area_is_live(vma))
			wasm_write_back(vma, vma->vm_start, vma->vm_end);
		wasm_free_area(vma);
		cond_resched();
	}
	__mt_destroy(&mm->mm_mt);
	mm->total_vm = 0;
	mmap_write_unlock(mm);
	/* After this the memory may be another process's. */
	destroy_context(mm);
}
