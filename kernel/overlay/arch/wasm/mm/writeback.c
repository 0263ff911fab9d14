// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings of files of other file systems than tmpfs and ext4, and of
 * block devices: what the program stores there goes to the file at msync(),
 * munmap(), exec and exit.
 *
 * No hardware tells which pages the program has changed. To write the others
 * would undo what somebody else has written to the file meanwhile. So the
 * kernel keeps a sum of each page as it was last read or written, and writes a
 * page only if its sum is another one now.
 *
 * Shared mappings of other files follow them: shared.c.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/syscalls.h>
#include <linux/xxhash.h>
#include <asm/machine.h>
#include "internal.h"

struct page_sums {
	refcount_t users;	/* areas: one that is split shares it */
	/*
	 * Two msync() of a page may not end in different orders in the file and
	 * here.
	 */
	struct mutex lock;
	unsigned long first;	/* the page of the file that sum[0] is of */
	unsigned long count;
	u64 sum[];
};

static struct page_sums *area_sums(const struct vm_area_struct *vma)
{
	if (!vma->vm_file || wasm_file_is_live(vma->vm_file))
		return NULL;
	return vma->vm_private_data;
}

static struct page_sums *alloc_sums(unsigned long first, unsigned long count)
{
	struct page_sums *sums = kvmalloc(struct_size(sums, sum, count), GFP_KERNEL);

	if (!sums)
		return NULL;
	refcount_set(&sums->users, 1);
	mutex_init(&sums->lock);
	sums->first = first;
	sums->count = count;
	return sums;
}

void wasm_put_sums(struct vm_area_struct *vma)
{
	struct page_sums *sums = area_sums(vma);

	if (sums && refcount_dec_and_test(&sums->users))
		kvfree(sums);
}

/* Both parts of an area that is split have its sums. */
void wasm_get_sums(struct vm_area_struct *vma)
{
	struct page_sums *sums = area_sums(vma);

	if (sums)
		refcount_inc(&sums->users);
}

/*
 * Gives @copy, which a child will have, sums of its own. Another thread may
 * write a page back after this. The child's sum is then stale, and it writes
 * that page once more.
 */
int wasm_copy_sums(struct vm_area_struct *copy, const struct vm_area_struct *vma)
{
	struct page_sums *sums = area_sums(vma);
	struct page_sums *copied;

	copy->vm_private_data = NULL;
	if (!sums)
		return 0;
	copied = alloc_sums(sums->first, sums->count);
	if (!copied)
		return -ENOMEM;
	mutex_lock(&sums->lock);
	memcpy(copied->sum, sums->sum, sums->count * sizeof(*sums->sum));
	mutex_unlock(&sums->lock);
	copy->vm_private_data = copied;
	return 0;
}

static u64 page_sum(const void *page)
{
	return xxh64(page, PAGE_SIZE, 0);
}

typedef int page_function(struct file *file, unsigned long address, loff_t position, void *page,
			  u64 *sum);

/*
 * Calls @function for each page of [@start, @end) of a shared mapping. U must
 * be bound.
 */
static int for_each_page(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			 page_function *function)
{
	struct page_sums *sums = area_sums(vma);
	unsigned long pgoff = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	int error = 0;
	void *page;

	if (!sums)
		return 0;
	page = (void *)__get_free_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	mutex_lock(&sums->lock);
	for (; start < end && !error; start += PAGE_SIZE, pgoff++) {
		error = function(vma->vm_file, start, (loff_t)pgoff << PAGE_SHIFT, page,
				 &sums->sum[pgoff - sums->first]);
		cond_resched();
	}
	mutex_unlock(&sums->lock);
	free_page((unsigned long)page);
	return error;
}

static int note_page(struct file *file, unsigned long address, loff_t position, void *page,
		     u64 *sum)
{
	if (copy_from_area(page, address, PAGE_SIZE))
		return -EFAULT;
	*sum = page_sum(page);
	return 0;
}

/*
 * Begins to keep sums of a shared mapping, whose contents are those of the
 * file.
 */
int wasm_sum_area(struct vm_area_struct *vma)
{
	int error;

	vma->vm_private_data = alloc_sums(vma->vm_pgoff, vma_pages(vma));
	if (!vma->vm_private_data)
		return -ENOMEM;
	error = for_each_page(vma, vma->vm_start, vma->vm_end, note_page);
	if (error) {
		/*
		 * Sums that are not right would let all of it be written back.
		 */
		wasm_put_sums(vma);
		vma->vm_private_data = NULL;
	}
	return error;
}

static int write_page_back(struct file *file, unsigned long address, loff_t position, void *page,
			   u64 *sum)
{
	/* The size of a block device, not that of its name. */
	loff_t left = i_size_read(file->f_mapping->host) - position;
	unsigned long done = 0, length;
	ssize_t written;
	u64 now;

	/* What lies behind the end of the file is not part of it. */
	if (left <= 0)
		return 0;
	length = min_t(loff_t, left, PAGE_SIZE);
	if (copy_from_area(page, address, PAGE_SIZE))
		return -EFAULT;
	now = page_sum(page);
	if (now == *sum)
		return 0;
	while (done < length) {
		written = kernel_write(file, page + done, length - done, &position);
		if (written <= 0)
			return written ? written : -EIO;
		done += written;
	}
	*sum = now;
	return 0;
}

/*
 * Shows the program what others have written to the file, after
 * write_page_back().
 */
static int read_page_again(struct file *file, unsigned long address, loff_t position, void *page,
			   u64 *sum)
{
	unsigned long done = 0;
	ssize_t count;
	u64 now;

	while (done < PAGE_SIZE) {
		count = kernel_read(file, page + done, PAGE_SIZE - done, &position);
		if (count < 0)
			return count;
		if (!count)
			break;
		done += count;
	}
	memset(page + done, 0, PAGE_SIZE - done);
	now = page_sum(page);
	if (now == *sum)
		return 0;
	*sum = now;
	return copy_to_area(address, page, PAGE_SIZE) ? -EFAULT : 0;
}

/*
 * Writes what the program has changed in [@start, @end) of a shared mapping to
 * its file. U must be bound.
 */
int wasm_write_back(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return 0;
	if (area_is_live(vma))
		return wasm_publish_area(vma, start, end);
	return for_each_page(vma, start, end, write_page_back);
}

/*
 * A new mapping of pages of @file must show what this process has written to
 * its other mappings of these: the file does not have it yet.
 */
int wasm_write_back_file(struct mm_struct *mm, struct file *file, unsigned long pgoff,
			 unsigned long pages)
{
	VMA_ITERATOR(areas, mm, 0);
	struct vm_area_struct *vma;
	unsigned long first, end;
	int error;

	for_each_vma(areas, vma) {
		if (!vma->vm_file || vma->vm_file->f_mapping != file->f_mapping)
			continue;
		first = max(pgoff, vma->vm_pgoff);
		end = min(pgoff + pages, vma->vm_pgoff + vma_pages(vma));
		if (first >= end)
			continue;
		error = wasm_write_back(vma,
					vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
					vma->vm_start + ((end - vma->vm_pgoff) << PAGE_SHIFT));
		if (error)
			return error;
	}
	return 0;
}

/* Writes back all shared mappings of the current process. */
void wasm_write_back_areas(struct mm_struct *mm)
{
	VMA_ITERATOR(areas, mm, 0);
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	for_each_vma(areas, vma)
		wasm_write_back(vma, vma->vm_start, vma->vm_end);
	mmap_read_unlock(mm);
}

SYSCALL_DEFINE3(msync, unsigned long, start, size_t, length, int, flags)
{
	struct mm_struct *mm = current->mm;
	unsigned long at, end = start + PAGE_ALIGN(length);
	struct vm_area_struct *vma;
	int error = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || offset_in_page(start) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (end < start)
		return -ENOMEM;
	mmap_read_lock(mm);
	for (at = start; at < end && !error; at = vma->vm_end) {
		vma = vma_lookup(mm, at);
		if (!vma) {
			error = -ENOMEM;
			break;
		}
		error = wasm_write_back(vma, at, min(end, vma->vm_end));
		if (!error && flags & MS_INVALIDATE)
			error = for_each_page(vma, at, min(end, vma->vm_end), read_page_again);
		if (!error && flags & MS_SYNC && vma->vm_file && vma->vm_flags & VM_SHARED)
			error = vfs_fsync(vma->vm_file, 1);
	}
	mmap_read_unlock(mm);
	return error;
}
