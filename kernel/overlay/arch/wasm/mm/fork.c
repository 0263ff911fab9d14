// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork: the areas of the child, and the copy of U that its worker makes.
 *
 * The child's memory may have been another process's. Nothing of that may be
 * left, so what the child does not get of its parent is cleared.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "internal.h"

/*
 * The areas of the child are those of the parent; wasm_fork_copy_memory()
 * follows.
 */
int wasm_dup_areas(struct mm_struct *mm, struct mm_struct *old)
{
	struct vm_area_struct *vma, *copy;
	unsigned long index = 0;
	int error = 0;

	mmap_write_lock(old);
	/* The child's live areas are filled from their files. */
	mt_for_each(&old->mm_mt, vma, index, ULONG_MAX) {
		if (area_is_live(vma))
			error = error ?: wasm_write_back(vma, vma->vm_start, vma->vm_end);
	}
	if (error)
		goto unlock_old;
	index = 0;
	/*
	 * Nobody else knows @mm yet, but what changes areas asserts this lock.
	 */
	mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);
	mm->context.image_end = old->context.image_end;
	mm->context.mmap_base = old->context.mmap_base;
	mm->map_count = old->map_count;
	mm->total_vm = old->total_vm;
	mm->hiwater_vm = mm->total_vm;
	mm->hiwater_rss = mm->total_vm;
	mm->exec_vm = old->exec_vm;
	mm->data_vm = old->data_vm;
	mt_for_each(&old->mm_mt, vma, index, ULONG_MAX) {
		if (vma->vm_flags & VM_DONTCOPY) {
			wasm_count_area(mm, vma, -(long)vma_pages(vma));
			mm->map_count--;
			continue;
		}
		copy = vm_area_dup(vma);
		if (!copy) {
			error = -ENOMEM;
			break;
		}
		copy->vm_mm = mm;
		wasm_get_area(copy);
		error = wasm_copy_sums(copy, vma);
		if (!error)
			error = wasm_store_area(mm, copy->vm_start, copy->vm_end, copy);
		if (error) {
			wasm_free_area(copy);
			break;
		}
	}
	mmap_write_unlock(mm);
unlock_old:
	mmap_write_unlock(old);
	return error;
}

/*
 * What a child gets of its parent's U, and the length of the old contents of
 * its own.
 */
struct fork_copy {
	int to, from;
	unsigned long old_end;
	unsigned long done;	/* everything below is as it must be */
};

/*
 * The process has nothing from @copy->done up to @start. Clears what the last
 * process of the memory may have left there.
 */
static int fork_skip(struct fork_copy *copy, unsigned long start)
{
	unsigned long end = min(start, copy->old_end);

	if (copy->done < end && user_access.clear(copy->done, end - copy->done))
		return -EFAULT;
	copy->done = max(copy->done, start);
	return 0;
}

static int fork_range(struct fork_copy *copy, unsigned long start, unsigned long end)
{
	int error = fork_skip(copy, start);

	if (!error && start < end)
		error = engine_memory_copy(copy->to, copy->from, start, end - start);
	copy->done = max(copy->done, end);
	return error;
}

/*
 * The main stack lies in the static image, and most of it is unused. If the
 * buffer of the unwound frames lies in it (docs/abi-programs.md, "fork"), what
 * is between them and the stack pointer is dead.
 */
static void find_dead_stack(struct fork_copy *copy, unsigned long image_end,
			    unsigned long *dead, unsigned long *dead_end)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();
	unsigned long buffer = worker->fork_buffer;
	unsigned long stack_pointer = worker->globals[AUKLET_GLOBAL_STACK_POINTER];
	u32 frames_end;

	*dead = *dead_end = 0;
	if (buffer >= stack_pointer || stack_pointer > image_end ||
	    engine_memory_copy(copy->to, copy->from, buffer, sizeof(u32)) ||
	    !wasm_read_word(&frames_end, buffer) ||
	    frames_end < buffer || frames_end > stack_pointer)
		return;
	*dead = frames_end;
	*dead_end = stack_pointer;
}

/*
 * The part of the main stack that the parent has not used is zero in both; in
 * the memory of the child it is zero below @unused already. The first page is
 * copied: something may have been stored there through a null pointer.
 */
static int fork_unused_stack(struct fork_copy *copy, unsigned long unused)
{
	const struct main_stack *stack = wasm_main_stack_of(copy->from);
	unsigned long parents;
	int error = 0;

	*wasm_main_stack_of(copy->to) = *stack;
	if (stack->limit)
		error = engine_memory_copy(copy->to, copy->from, stack->limit, sizeof(u32));
	parents = wasm_unused_stack(copy->to);
	if (error || parents <= PAGE_SIZE)
		return error;
	error = fork_range(copy, 0, PAGE_SIZE);
	copy->done = max(copy->done, min(unused, parents));
	return error ?: fork_skip(copy, parents);
}

/*
 * In the child's worker: binds its U, and fills it from memory @source, the
 * parent's.
 */
int wasm_fork_copy_memory(int source)
{
	struct mm_struct *mm = current->mm;
	struct fork_copy copy = { .to = mm->context.memory, .from = source };
	unsigned long dead, dead_end, unused, index = 0;
	struct vm_area_struct *vma;
	int error;

	error = engine_bind_memory(mm->context.memory);
	if (error)
		return error;
	unused = wasm_unused_stack(copy.to);
	copy.old_end = user_access.pages() << WASM_PAGE_SHIFT;
	error = wasm_grow_memory(mm, (unsigned long)auklet_machine.memory[source].pages <<
				     WASM_PAGE_SHIFT);
	if (error)
		return error;
	error = fork_unused_stack(&copy, unused);
	if (error)
		return error;
	find_dead_stack(&copy, mm->context.image_end, &dead, &dead_end);
	mt_for_each(&mm->mm_mt, vma, index, ULONG_MAX) {
		if (vma->vm_flags & VM_MAYSHARE && wasm_file_is_live(vma->vm_file)) {
			error = fork_skip(&copy, vma->vm_start);
			if (!error)
				error = wasm_link_area(vma);
			copy.done = vma->vm_end;
		} else if (vma->vm_flags & VM_WIPEONFORK) {
			error = fork_skip(&copy, vma->vm_end);
		} else if (dead < dead_end && vma->vm_start <= dead && dead_end <= vma->vm_end) {
			error = fork_range(&copy, max(vma->vm_start, copy.done), dead);
			if (!error)
				error = fork_range(&copy, dead_end, vma->vm_end);
		} else {
			error = fork_range(&copy, max(vma->vm_start, copy.done), vma->vm_end);
		}
		if (error)
			return error;
	}
	return fork_skip(&copy, copy.old_end);
}
