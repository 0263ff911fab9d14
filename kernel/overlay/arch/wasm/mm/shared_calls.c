// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program's system calls publish of its shared mappings (shared.c).
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <asm/machine.h>
#include "internal.h"

/*
 * By memory: its program is in a system call, and what it had stored there
 * before is published, but for areas that are alone on their file.
 */
static bool settled[AUKLET_MAX_MEMORIES];

bool wasm_is_settled(const struct mm_struct *mm)
{
	/* Another thread may run on. */
	return READ_ONCE(settled[mm->context.memory]) && atomic_read(&mm->mm_users) == 1;
}

void wasm_set_settled(const struct mm_struct *mm, bool is_settled)
{
	WRITE_ONCE(settled[mm->context.memory], is_settled);
}

/*
 * True once in a second for an area of a disk. Its vm_private_data is the time
 * of the last time.
 */
static bool is_late(struct vm_area_struct *vma)
{
	if (!wasm_is_on_disk(area_mapping(vma)) ||
	    time_before(jiffies, (unsigned long)vma->vm_private_data + HZ))
		return false;
	vma->vm_private_data = (void *)jiffies;
	return true;
}

/* Whether a system call of the program publishes @vma. */
static bool is_due(struct vm_area_struct *vma)
{
	/* A read-only area was published by mprotect(). */
	if (!area_is_live(vma) || !(vma->vm_flags & VM_WRITE))
		return false;
	/*
	 * An area that is alone on its file is published by whoever next
	 * reads, maps or syncs the file (publish_unseen()). But a disk gets the
	 * stores soon, as it does what write() wrote.
	 */
	return !wasm_is_alone(vma) || is_late(vma);
}

static bool publish_whole_area(struct vm_area_struct *vma)
{
	if (!wasm_publish_area(vma, vma->vm_start, vma->vm_end))
		return true;
	/* Elsewhere the store itself would have failed so. */
	force_sig_fault(SIGBUS, BUS_ADRERR, (void __user *)vma->vm_start);
	return false;
}

/*
 * Areas of one file are together, from the end of the file to its start. A
 * large file comes before a small one: a table of locks, as LMDB has beside its
 * data, tells what is in the large one.
 */
static int compare_areas(const void *a, const void *b)
{
	const struct vm_area_struct *x = *(const struct vm_area_struct **)a;
	const struct vm_area_struct *y = *(const struct vm_area_struct **)b;
	const struct address_space *of_x = area_mapping(x), *of_y = area_mapping(y);
	loff_t size_x = i_size_read(of_x->host), size_y = i_size_read(of_y->host);

	if (size_x != size_y)
		return size_x > size_y ? -1 : 1;
	if (of_x != of_y)
		return of_x < of_y ? -1 : 1;
	return x->vm_pgoff == y->vm_pgoff ? 0 : x->vm_pgoff > y->vm_pgoff ? -1 : 1;
}

/*
 * Called before each system call of the program, and when it ends: whoever
 * learns what the call does may look at what the program stored before.
 *
 * A file may have several areas, as SQLite's index of the write-ahead log has.
 * The one at the start of the file comes last, as in publish().
 */
void wasm_publish_areas(struct mm_struct *mm)
{
	VMA_ITERATOR(areas, mm, 0);
	struct vm_area_struct *vma, **due = NULL;
	unsigned int count = 0, room, i;
	bool done = true;

	mmap_read_lock(mm);
	room = mm->context.shared_areas;
	if (room > 1)
		due = kvmalloc_array(room, sizeof(*due), GFP_KERNEL);
	for_each_vma(areas, vma) {
		if (!is_due(vma))
			continue;
		if (due && count < room)
			due[count++] = vma;
		else
			done &= publish_whole_area(vma);
	}
	if (count > 1)
		sort(due, count, sizeof(*due), compare_areas, NULL);
	for (i = 0; i < count; i++)
		done &= publish_whole_area(due[i]);
	kvfree(due);
	wasm_set_settled(mm, done);
	mmap_read_unlock(mm);
}
