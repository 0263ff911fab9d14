// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces of programs: areas in the linear memory U of a process.
 *
 * U has no pages and no protection: an area is a promise about contents, and
 * what it forbids only system calls obey (access.c). The
 * areas are vm_area_structs in the mm's maple tree, as everywhere, so /proc shows them; what
 * they describe is memory of U itself, which grows at its end only. Mappings are
 * therefore placed at the lowest gap that fits. File mappings are read in; shared ones of files in memory follow
 * these (shared.c), those of other files are written back by msync, munmap, exec and exit.
 *
 * This takes the place of the parts of mm/nommu.c that give programs kernel memory.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/maple_tree.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/mmu_context.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/xxhash.h>
#include <asm/globals.h>
#include <asm/host_calls.h>
#include <asm/machine.h>
#include "internal.h"

/* mm/util.c; declared in mm/internal.h only. */
unsigned long vm_mmap_pgoff(struct file *file, unsigned long address, unsigned long length,
			    unsigned long prot, unsigned long flags, unsigned long pgoff);

/* Makes U reach to @end; new bytes are zero. Called with the mm's own U bound. */
static int grow_memory(struct mm_struct *mm, unsigned long end)
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

/* [@start, @end) is part of @vma from now on, or of no area where that is NULL. */
static int store_area(struct mm_struct *mm, unsigned long start, unsigned long end,
		      struct vm_area_struct *vma)
{
	MA_STATE(mas, &mm->mm_mt, start, end - 1);
	int error = vma ? prepare_access(mm, start, end) : 0;

	if (!error)
		error = mas_store_gfp(&mas, vma, GFP_KERNEL);
	if (!error)
		set_access(mm, start, end, vma ? vma->vm_flags : 0);
	return error;
}

/* RLIMIT_AS. */
static bool within_limit(struct mm_struct *mm, unsigned long bytes)
{
	return mm->total_vm + (bytes >> PAGE_SHIFT) <= rlimit(RLIMIT_AS) >> PAGE_SHIFT;
}

static void count_area(struct mm_struct *mm, struct vm_area_struct *vma, long pages)
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

/*
 * What a shared mapping of a file was read as, or was last written as: a sum of each page. No hardware tells which
 * pages the program has changed, and to write the others would undo what somebody else has written to the file
 * meanwhile.
 */
struct page_sums {
	refcount_t users;	/* areas: one that is split shares it */
	struct mutex lock;	/* two msync() of a page may not end in different orders in the file and here */
	unsigned long first;	/* the page of the file that sum[0] is of */
	unsigned long count;
	u64 sum[];
};

static struct page_sums *area_sums(const struct vm_area_struct *vma)
{
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

static void put_sums(struct page_sums *sums)
{
	if (sums && refcount_dec_and_test(&sums->users))
		kvfree(sums);
}

static u64 page_sum(const void *page)
{
	return xxh64(page, PAGE_SIZE, 0);
}

/* Calls @function for each page of [start, end) of a shared mapping. U must be bound. */
static int for_each_page(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			 int (*function)(struct file *file, unsigned long address, loff_t position,
					 void *page, u64 *sum))
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

static int note_page(struct file *file, unsigned long address, loff_t position, void *page, u64 *sum)
{
	if (copy_from_area(page, address, PAGE_SIZE))
		return -EFAULT;
	*sum = page_sum(page);
	return 0;
}

/* Begins to keep sums of a shared mapping, whose contents are the file's now. */
static int sum_area(struct vm_area_struct *vma)
{
	int error;

	vma->vm_private_data = alloc_sums(vma->vm_pgoff, vma_pages(vma));
	if (!vma->vm_private_data)
		return -ENOMEM;
	error = for_each_page(vma, vma->vm_start, vma->vm_end, note_page);
	if (error) {
		/* Sums that are not right would let all of it be written back. */
		put_sums(area_sums(vma));
		vma->vm_private_data = NULL;
	}
	return error;
}

static int write_page_back(struct file *file, unsigned long address, loff_t position, void *page, u64 *sum)
{
	/* Of a block device, not of its name. */
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

/* Shows the program what others have written to the file. Comes after write_page_back(). */
static int read_page_again(struct file *file, unsigned long address, loff_t position, void *page, u64 *sum)
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

/* Writes what the program has changed of a shared mapping in [start, end) to its file. U must be bound. */
static int write_back(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return 0;
	if (area_is_live(vma))
		return publish_area(vma, start, end);
	return for_each_page(vma, start, end, write_page_back);
}

static void free_area(struct vm_area_struct *vma)
{
	if (area_is_live(vma))
		unlink_area(vma);
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	if (vma->vm_file)
		fput(vma->vm_file);
	put_sums(area_sums(vma));
	vm_area_free(vma);
}

/* What the @copy of a vm_area_struct has a share of. It is not live yet. */
static void share_area(struct vm_area_struct *copy)
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
	share_area(upper);
	upper->vm_start = at;
	upper->vm_pgoff += (at - vma->vm_start) >> PAGE_SHIFT;
	if (area_sums(upper))
		refcount_inc(&area_sums(upper)->users);
	error = store_area(mm, at, vma->vm_end, upper);
	if (error) {
		free_area(upper);
		return error;
	}
	if (area_is_live(vma))
		split_live_area(vma, upper, at);
	else
		vma->vm_end = at;
	mm->map_count++;
	return 0;
}

/* Splits areas so that [start, end) has no area in part. */
static int isolate_range(struct mm_struct *mm, unsigned long start, unsigned long end)
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
	error = isolate_range(mm, start, end);
	if (error)
		return error;
	while ((vma = find_vma_intersection(mm, start, end))) {
		write_back(vma, vma->vm_start, vma->vm_end);
		error = store_area(mm, vma->vm_start, vma->vm_end, NULL);
		if (error)
			return error;
		count_area(mm, vma, -(long)vma_pages(vma));
		mm->map_count--;
		free_area(vma);
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

static unsigned long find_gap(struct mm_struct *mm, unsigned long length)
{
	unsigned long limit = (u64)auklet_machine.memory_pages << WASM_PAGE_SHIFT > TASK_SIZE ?
			      TASK_SIZE : (unsigned long)auklet_machine.memory_pages << WASM_PAGE_SHIFT;
	MA_STATE(mas, &mm->mm_mt, 0, 0);

	if (mas_empty_area(&mas, mm->context.mmap_base, limit - 1, length))
		return -ENOMEM;
	return mas.index;
}

/* Adds an area for [start, end) with @file at @pgoff; the caller has made room. */
static struct vm_area_struct *add_area(struct mm_struct *mm, unsigned long start, unsigned long end,
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
	error = store_area(mm, start, end, vma);
	if (error) {
		free_area(vma);
		return ERR_PTR(error);
	}
	mm->map_count++;
	count_area(mm, vma, vma_pages(vma));
	return vma;
}

/* Fills a new mapping from its file; what lies behind the file's end is zero already. */
static int read_file(struct file *file, unsigned long start, unsigned long length, unsigned long pgoff)
{
	loff_t position = (loff_t)pgoff << PAGE_SHIFT;
	ssize_t count = 0;

	current->thread.ignores_access = true;
	while (length) {
		count = vfs_read(file, (char __user *)start, length, &position);
		if (count <= 0)
			break;
		start += count;
		length -= count;
	}
	current->thread.ignores_access = false;
	return min(count, 0);
}

/* What this process has written to other mappings of pages of the file is nowhere else; a new mapping of these must show it. */
static int write_back_file(struct mm_struct *mm, struct file *file, unsigned long pgoff, unsigned long pages)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(areas, mm, 0);
	unsigned long first, end;
	int error;

	for_each_vma(areas, vma) {
		if (!vma->vm_file || vma->vm_file->f_mapping != file->f_mapping)
			continue;
		first = max(pgoff, vma->vm_pgoff);
		end = min(pgoff + pages, vma->vm_pgoff + vma_pages(vma));
		if (first >= end)
			continue;
		error = write_back(vma, vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
				   vma->vm_start + ((end - vma->vm_pgoff) << PAGE_SHIFT));
		if (error)
			return error;
	}
	return 0;
}

static bool is_zero_device(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISCHR(inode->i_mode) && imajor(inode) == MEM_MAJOR && iminor(inode) == 5;
}

static int check_file_mapping(struct file *file, unsigned long prot, unsigned long flags)
{
	umode_t mode = file_inode(file)->i_mode;

	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	if (path_noexec(&file->f_path) && (prot & PROT_EXEC))
		return -EPERM;
	/* The files of System V's shared memory cannot be read. */
	if (!file->f_op->mmap || !(file->f_mode & FMODE_CAN_READ || file_is_live(file)))
		return -ENODEV;
	/* A device's own memory cannot appear in U. What can be copied, as /dev/zero, is read like a file. */
	if (!S_ISREG(mode) && !S_ISBLK(mode) && !is_zero_device(file) &&
	    ((flags & MAP_TYPE) != MAP_PRIVATE || !file->f_op->mmap_capabilities ||
	     !(file->f_op->mmap_capabilities(file) & NOMMU_MAP_COPY)))
		return -ENODEV;
	if ((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE) && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return 0;
}

/* What mmap() and, later, mprotect() may allow the mapping. */
static vm_flags_t mapping_flags(const struct file *file, unsigned long prot, unsigned long flags)
{
	vm_flags_t vm_flags = calc_vm_prot_bits(prot, 0) | calc_vm_flag_bits((struct file *)file, flags) |
			      VM_MAYREAD | VM_MAYEXEC | VM_MAYWRITE;

	if ((flags & MAP_TYPE) != MAP_PRIVATE) {
		vm_flags |= VM_SHARED | VM_MAYSHARE;
		if (file && !(file->f_mode & FMODE_WRITE))
			vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
	}
	if (file && path_noexec(&file->f_path))
		vm_flags &= ~VM_MAYEXEC;
	return vm_flags;
}

/* A shared mapping at @start, where nothing is mapped, that follows @file. */
static int map_live_file(struct mm_struct *mm, unsigned long start, unsigned long length, vm_flags_t vm_flags,
			 struct file *file, unsigned long pgoff)
{
	struct vm_area_struct *vma = add_area(mm, start, start + length, vm_flags, file, pgoff);
	int error;

	if (IS_ERR(vma))
		return PTR_ERR(vma);
	error = call_mmap(file, vma);
	if (!error)
		error = link_area(vma);
	if (error)
		do_munmap(mm, start, length, NULL);
	return error;
}

static unsigned long map_file(struct file *file, unsigned long address, unsigned long length,
			      unsigned long flags, vm_flags_t vm_flags, unsigned long pgoff,
			      struct list_head *uf)
{
	struct mm_struct *mm = current->mm;
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	struct vm_area_struct *vma;
	unsigned long fresh;
	int error;

	if (mm->map_count > sysctl_max_map_count)
		return -ENOMEM;
	error = security_mmap_addr(address);
	if (error)
		return error;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (offset_in_page(address))
			return -EINVAL;
		if (address + length < address || address + length > TASK_SIZE)
			return -ENOMEM;
		if (flags & MAP_FIXED_NOREPLACE && find_vma_intersection(mm, address, address + length))
			return -EEXIST;
	} else {
		address = PAGE_ALIGN(address);
		if (!address || address < mm->context.mmap_base || address + length < address ||
		    address + length > user_access.pages() << WASM_PAGE_SHIFT ||
		    find_vma_intersection(mm, address, address + length)) {
			address = find_gap(mm, length);
			if (IS_ERR_VALUE(address))
				return address;
		}
	}
	if (!within_limit(mm, length))
		return -ENOMEM;
	fresh = user_end();
	error = grow_memory(mm, address + length);
	if (error)
		return error;
	if (flags & MAP_FIXED) {
		error = do_munmap(mm, address, length, uf);
		if (error)
			return error;
	}

	if (file && !file_is_live(file)) {
		error = write_back_file(mm, file, pgoff, length >> PAGE_SHIFT);
		if (error)
			return error;
	}

	if (shared && file_is_live(file)) {
		error = map_live_file(mm, address, length, vm_flags, file, pgoff);
		return error ? error : address;
	}
	vma = add_area(mm, address, address + length, vm_flags, file, pgoff);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	/* Another mapping may have been here. */
	if (clear_area(address, length, fresh))
		return -ENOMEM;
	if (file) {
		error = read_file(file, address, length, pgoff);
		if (!error && shared)
			error = sum_area(vma);
		if (error) {
			do_munmap(mm, address, length, uf);
			return error;
		}
	}
	return address;
}

unsigned long do_mmap(struct file *file, unsigned long address, unsigned long length,
		      unsigned long prot, unsigned long flags, vm_flags_t vm_flags,
		      unsigned long pgoff, unsigned long *populate, struct list_head *uf)
{
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	unsigned long result;
	int error;

	*populate = 0;
	if (!length)
		return -EINVAL;
	length = PAGE_ALIGN(length);
	if (!length || length > TASK_SIZE)
		return -ENOMEM;
	if (pgoff + (length >> PAGE_SHIFT) < pgoff)
		return -EOVERFLOW;
	switch (flags & MAP_TYPE) {
	case MAP_PRIVATE:
	case MAP_SHARED:
		break;
	case MAP_SHARED_VALIDATE:
		if (!file)
			return -EINVAL;
		/* MAP_SYNC is for persistent memory, of which there is none. */
		if (flags & ~LEGACY_MAP_MASK)
			return -EOPNOTSUPP;
		break;
	default:
		return -EINVAL;
	}
	if (file) {
		error = check_file_mapping(file, prot, flags);
		if (error)
			return error;
	}
	vm_flags |= mapping_flags(file, prot, flags);
	if (shared && file) {
		error = memfd_check_seals_mmap(file, &vm_flags);
		if (error)
			return error;
	}
	if (!shared || (file && !is_zero_device(file)))
		return map_file(file, address, length, flags, vm_flags, pgoff, uf);
	/* Anonymous memory is a file that only its mappings know. */
	file = shmem_kernel_file_setup("dev/zero", length, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	result = map_file(file, address, length, flags, vm_flags, 0, uf);
	fput(file);
	return result;
}

unsigned long ksys_mmap_pgoff(unsigned long address, unsigned long length, unsigned long prot,
			      unsigned long flags, unsigned long fd, unsigned long pgoff)
{
	struct file *file = NULL;
	unsigned long result;

	if (!(flags & MAP_ANONYMOUS)) {
		file = fget(fd);
		if (!file)
			return -EBADF;
	}
	result = vm_mmap_pgoff(file, address, length, prot, flags, pgoff);
	if (file)
		fput(file);
	return result;
}

SYSCALL_DEFINE6(mmap2, unsigned long, address, unsigned long, length, unsigned long, prot,
		unsigned long, flags, unsigned long, fd, unsigned long, offset_4k)
{
	return ksys_mmap_pgoff(address, length, prot, flags, fd, offset_4k);
}

SYSCALL_DEFINE1(brk, unsigned long, brk)
{
	struct mm_struct *mm = current->mm;
	unsigned long old_end, new_end, fresh, result;
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	result = mm->brk;
	if (brk < mm->start_brk || brk > mm->context.mmap_base ||
	    check_data_rlimit(rlimit(RLIMIT_DATA), brk, mm->start_brk, mm->end_data, mm->start_data))
		goto out;
	old_end = PAGE_ALIGN(mm->brk);
	new_end = PAGE_ALIGN(brk);
	if (new_end < old_end) {
		if (do_munmap(mm, new_end, old_end - new_end, NULL))
			goto out;
	} else if (new_end > old_end) {
		fresh = user_end();
		if (!within_limit(mm, new_end - old_end) || grow_memory(mm, new_end) ||
		    find_vma_intersection(mm, old_end, new_end))
			goto out;
		vma = old_end > mm->start_brk ? vma_lookup(mm, old_end - 1) : NULL;
		if (vma) {
			/* The heap is one area that ends at the break. */
			if (store_area(mm, vma->vm_start, new_end, vma))
				goto out;
			vma->vm_end = new_end;
			count_area(mm, vma, (new_end - old_end) >> PAGE_SHIFT);
		} else if (IS_ERR(add_area(mm, old_end, new_end, VM_DATA_DEFAULT_FLAGS, NULL, 0))) {
			goto out;
		}
		if (clear_area(old_end, new_end - old_end, fresh))
			goto out;
	}
	mm->brk = brk;
	result = brk;
out:
	mmap_write_unlock(mm);
	return result;
}

static unsigned long do_mremap(struct mm_struct *mm, unsigned long address, unsigned long old_length,
			       unsigned long new_length, unsigned long flags, unsigned long new_address)
{
	unsigned long target, pgoff, fresh = user_end();
	struct vm_area_struct *vma;
	int error;

	if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE) || offset_in_page(address) ||
	    (flags & MREMAP_FIXED && (!(flags & MREMAP_MAYMOVE) || offset_in_page(new_address))))
		return -EINVAL;
	old_length = PAGE_ALIGN(old_length);
	new_length = PAGE_ALIGN(new_length);
	if (!old_length || !new_length)
		return -EINVAL;
	vma = vma_lookup(mm, address);
	if (!vma || address + old_length < address || address + old_length > vma->vm_end)
		return -EFAULT;
	if (!(flags & MREMAP_FIXED)) {
		if (new_length == old_length)
			return address;
		if (new_length < old_length) {
			error = do_munmap(mm, address + new_length, old_length - new_length, NULL);
			return error ? error : address;
		}
		/* In place, if the area ends here and nothing follows. */
		if (!vma->vm_file && address + old_length == vma->vm_end &&
		    address + new_length > address &&
		    !find_vma_intersection(mm, vma->vm_end, address + new_length) &&
		    within_limit(mm, new_length - old_length) &&
		    !grow_memory(mm, address + new_length)) {
			unsigned long end = vma->vm_end;

			if (store_area(mm, vma->vm_start, address + new_length, vma))
				return -ENOMEM;
			vma->vm_end = address + new_length;
			count_area(mm, vma, (new_length - old_length) >> PAGE_SHIFT);
			if (clear_area(end, new_length - old_length, fresh))
				return -ENOMEM;
			return address;
		}
		if (!(flags & MREMAP_MAYMOVE))
			return -ENOMEM;
	}
	if (vma->vm_flags & VM_MAYSHARE && !area_is_live(vma))
		return -ENODEV;
	if (flags & MREMAP_FIXED) {
		if (new_address + new_length < new_address || new_address + new_length > TASK_SIZE ||
		    (new_address < address + old_length && address < new_address + new_length))
			return -EINVAL;
		error = do_munmap(mm, new_address, new_length, NULL);
		if (error)
			return error;
		target = new_address;
		vma = vma_lookup(mm, address);
	} else {
		target = find_gap(mm, new_length);
		if (IS_ERR_VALUE(target))
			return target;
	}
	if (!within_limit(mm, new_length))
		return -ENOMEM;
	error = grow_memory(mm, target + new_length);
	if (error)
		return error;
	pgoff = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
	if (area_is_live(vma)) {
		error = map_live_file(mm, target, new_length, vma->vm_flags, vma->vm_file, pgoff);
		if (error)
			return error;
	} else {
		vma = add_area(mm, target, target + new_length, vma->vm_flags, vma->vm_file, pgoff);
		if (IS_ERR(vma))
			return PTR_ERR(vma);
		if (user_access.move(target, address, min(old_length, new_length)))
			return -EFAULT;
		if (new_length > old_length &&
		    clear_area(target + old_length, new_length - old_length, fresh))
			return -EFAULT;
	}
	error = do_munmap(mm, address, old_length, NULL);
	return error ? error : target;
}

SYSCALL_DEFINE5(mremap, unsigned long, address, unsigned long, old_length,
		unsigned long, new_length, unsigned long, flags, unsigned long, new_address)
{
	unsigned long result;

	mmap_write_lock(current->mm);
	result = do_mremap(current->mm, address, old_length, new_length, flags, new_address);
	mmap_write_unlock(current->mm);
	return result;
}

/* System calls obey the flags; wasm cannot enforce them (docs/architecture.md, "Isolation"). */
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
		error = isolate_range(mm, start, end);
	for (at = start; !error && at < end; at = vma->vm_end) {
		vma = vma_lookup(mm, at);
		if (area_is_live(vma) && !(prot & PROT_WRITE))
			error = write_back(vma, vma->vm_start, vma->vm_end);
		vm_flags_reset(vma, (vma->vm_flags & ~(VM_READ | VM_WRITE | VM_EXEC)) |
				    calc_vm_prot_bits(prot, 0));
		set_access(mm, vma->vm_start, vma->vm_end, vma->vm_flags);
	}
	mmap_write_unlock(mm);
	return error;
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
		error = write_back(vma, at, min(end, vma->vm_end));
		if (!error && flags & MS_INVALIDATE)
			error = for_each_page(vma, at, min(end, vma->vm_end), read_page_again);
		if (!error && flags & MS_SYNC && vma->vm_file && vma->vm_flags & VM_SHARED)
			error = vfs_fsync(vma->vm_file, 1);
	}
	mmap_read_unlock(mm);
	return error;
}

/* The contents as they were when the range was mapped. */
static int forget_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (vma->vm_flags & VM_SHARED)
		return 0;
	if (clear_area(start, end - start, end))
		return -ENOMEM;
	if (!vma->vm_file)
		return 0;
	return read_file(vma->vm_file, start, end - start,
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

/* What @advice changes of an area's flags; the others do nothing, because all of U is always there. */
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
	error = isolate_range(mm, start, end);
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

	if (!is_known_advice(advice) || offset_in_page(start) || end < start || (length && end == start))
		return -EINVAL;
	mmap_write_lock(mm);
	for (at = start; at < end && !error; at = stop) {
		/* (find_vma() finds nothing in a hole, without an MMU.) */
		vma = find_vma_intersection(mm, at, end);
		/* What is mapped is advised, and the hole told of. */
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

/* All of the current process's shared mappings. */
void write_back_areas(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(areas, mm, 0);

	mmap_read_lock(mm);
	for_each_vma(areas, vma)
		write_back(vma, vma->vm_start, vma->vm_end);
	mmap_read_unlock(mm);
}

/*
 * The last user of the address space is gone. Shared mappings are written back by
 * the process itself, whose worker has U bound; anybody else who drops the last reference comes after that.
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
		/* A live area of a process that only this reference was left of can be read all the same. */
		if (bound || area_is_live(vma))
			write_back(vma, vma->vm_start, vma->vm_end);
		free_area(vma);
		cond_resched();
	}
	__mt_destroy(&mm->mm_mt);
	mm->total_vm = 0;
	mmap_write_unlock(mm);
	/* After this the memory may be another process's. */
	destroy_context(mm);
}

/* A page that another thread writes back before the child has its U is newer there than its sum: the child writes it once more. */
static struct page_sums *copy_sums(struct vm_area_struct *vma)
{
	struct page_sums *sums = area_sums(vma);
	struct page_sums *copy = alloc_sums(sums->first, sums->count);

	if (!copy)
		return NULL;
	mutex_lock(&sums->lock);
	memcpy(copy->sum, sums->sum, sums->count * sizeof(*sums->sum));
	mutex_unlock(&sums->lock);
	return copy;
}

/* fork: the child's areas are the parent's. Their contents follow in fork_copy_memory(). */
int dup_areas(struct mm_struct *mm, struct mm_struct *old)
{
	struct vm_area_struct *vma, *copy;
	unsigned long index = 0;
	int error = 0;

	mmap_write_lock(old);
	/* The child's live areas are filled from their files. */
	mt_for_each(&old->mm_mt, vma, index, ULONG_MAX) {
		if (area_is_live(vma))
			error = error ?: write_back(vma, vma->vm_start, vma->vm_end);
	}
	if (error)
		goto unlock_old;
	index = 0;
	/* Nobody knows it yet, but what changes areas says that it holds this lock. */
	mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);
	mm->context.image_end = old->context.image_end;
	mm->context.mmap_base = old->context.mmap_base;
	mm->map_count = old->map_count;
	mm->total_vm = old->total_vm;
	mm->hiwater_vm = mm->hiwater_rss = mm->total_vm;
	mm->exec_vm = old->exec_vm;
	mm->data_vm = old->data_vm;
	mt_for_each(&old->mm_mt, vma, index, ULONG_MAX) {
		if (vma->vm_flags & VM_DONTCOPY) {
			count_area(mm, vma, -(long)vma_pages(vma));
			mm->map_count--;
			continue;
		}
		copy = vm_area_dup(vma);
		if (!copy) {
			error = -ENOMEM;
			break;
		}
		copy->vm_mm = mm;
		share_area(copy);
		copy->vm_private_data = NULL;
		if (area_sums(vma)) {
			copy->vm_private_data = copy_sums(vma);
			if (!copy->vm_private_data) {
				free_area(copy);
				error = -ENOMEM;
				break;
			}
		}
		error = store_area(mm, copy->vm_start, copy->vm_end, copy);
		if (error) {
			free_area(copy);
			break;
		}
	}
	mmap_write_unlock(mm);
unlock_old:
	mmap_write_unlock(old);
	return error;
}

/* Of the program that a memory has, or had last. */
static struct main_stack main_stack[AUKLET_MAX_MEMORIES];

/*
 * A word of the bound memory, from which nobody is protected here: exec's new mm
 * has no areas yet, and get_user() would find nothing accessible.
 */
static bool read_word(u32 *value, unsigned long address)
{
	return !user_access.copy_from(value, address, sizeof(*value));
}

/*
 * Up to where bound memory @id was not used since it was cleared, as its last
 * program says. Most of a stack never is. To clear or copy it would take longer
 * than all the rest, and the computer's memory. A program that lies leaves its
 * bytes to others, where they have no objects: a stack that becomes longer is
 * cleared by its own program.
 */
static unsigned long unused_stack(int id)
{
	const struct main_stack *stack = &main_stack[id];
	u32 limit;

	if (!stack->limit || !read_word(&limit, stack->limit))
		return 0;
	return min(limit, stack->top) & PAGE_MASK;
}

/* Clears bound memory up to @have. What is below @unused is zero already, but for what was stored through null pointers. */
static int clear_memory(unsigned long unused, unsigned long have)
{
	u64 part[32];
	unsigned long at;

	for (at = 0; at < min(unused, PAGE_SIZE); at += sizeof(part)) {
		if (user_access.copy_from(part, at, sizeof(part)))
			return -EFAULT;
		if (memchr_inv(part, 0, sizeof(part)))
			break;
	}
	if (at < min(unused, PAGE_SIZE) && user_access.clear(0, PAGE_SIZE))
		return -EFAULT;
	return user_access.clear(unused, have - unused) ? -EFAULT : 0;
}

/* What a child gets of its parent's U, and the length of its own U's old contents. */
struct fork_copy {
	int to, from;
	unsigned long old_end;
	unsigned long done;	/* everything below is as it must be */
};

/* Everything up to @start is no part of the process: nothing of the memory's last process may be left. */
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
		error = host_memory_copy(copy->to, copy->from, start, end - start);
	copy->done = max(copy->done, end);
	return error;
}

/*
 * The main stack lies in the static image, and most of it is unused. Where the buffer of the unwound
 * frames lies in it (docs/abi.md, "fork"), what is between them and the stack pointer is dead.
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
	    host_memory_copy(copy->to, copy->from, buffer, sizeof(u32)) ||
	    !read_word(&frames_end, buffer) ||
	    frames_end < buffer || frames_end > stack_pointer)
		return;
	*dead = frames_end;
	*dead_end = stack_pointer;
}

/*
 * The part of the main stack that the parent has not used is zero in both, down from @unused in the child's memory already. What lies there all the same, stored through a null pointer, the child gets
 * where the first page is concerned.
 */
static int fork_unused_stack(struct fork_copy *copy, unsigned long unused)
{
	const struct main_stack *stack = &main_stack[copy->from];
	unsigned long parents;
	int error = 0;

	main_stack[copy->to] = *stack;
	if (stack->limit)
		error = host_memory_copy(copy->to, copy->from, stack->limit, sizeof(u32));
	parents = unused_stack(copy->to);
	if (error || parents <= PAGE_SIZE)
		return error;
	error = fork_range(copy, 0, PAGE_SIZE);
	copy->done = max(copy->done, min(unused, parents));
	return error ?: fork_skip(copy, parents);
}

/* In the child's worker: binds its U and fills it from memory @source, the parent's. */
int fork_copy_memory(int source)
{
	struct mm_struct *mm = current->mm;
	struct fork_copy copy = { .to = mm->context.memory, .from = source };
	unsigned long dead, dead_end, unused, index = 0;
	struct vm_area_struct *vma;
	int error;

	error = host_bind_memory(mm->context.memory);
	if (error)
		return error;
	unused = unused_stack(copy.to);
	copy.old_end = user_access.pages() << WASM_PAGE_SHIFT;
	error = grow_memory(mm, (unsigned long)auklet_machine.memory[source].pages << WASM_PAGE_SHIFT);
	if (error)
		return error;
	error = fork_unused_stack(&copy, unused);
	if (error)
		return error;
	find_dead_stack(&copy, mm->context.image_end, &dead, &dead_end);
	mt_for_each(&mm->mm_mt, vma, index, ULONG_MAX) {
		if (vma->vm_flags & VM_MAYSHARE && file_is_live(vma->vm_file)) {
			error = fork_skip(&copy, vma->vm_start);
			if (!error)
				error = link_area(vma);
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

/*
 * exec: the static memory of a module, [0, @image_end), and @arguments bytes behind it for
 * the argument block; the break and the mappings follow. Everything is zero.
 */
int map_image(struct mm_struct *mm, unsigned long image_end, unsigned long arguments, const struct main_stack *stack)
{
	/* What another program has not used of its stack is only left as it is where this one has its own. */
	unsigned long unused = stack->limit ? min(unused_stack(mm->context.memory), stack->top & PAGE_MASK) : 0;
	unsigned long block_end = image_end + PAGE_ALIGN(arguments);
	unsigned long have = user_access.pages() << WASM_PAGE_SHIFT;
	struct vm_area_struct *vma;

	if (block_end < image_end || clear_memory(min(unused, have), have) || grow_memory(mm, block_end))
		return -ENOMEM;
	main_stack[mm->context.memory] = *stack;
	mmap_write_lock(mm);
	vma = add_area(mm, 0, image_end, VM_DATA_DEFAULT_FLAGS | VM_EXEC | VM_STACK, NULL, 0);
	if (!IS_ERR(vma))
		vma = add_area(mm, image_end, block_end, VM_DATA_DEFAULT_FLAGS, NULL, 0);
	mmap_write_unlock(mm);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	mm->context.image_end = image_end;
	mm->start_code = 0;
	mm->end_code = image_end;
	mm->start_data = 0;
	mm->end_data = image_end;
	mm->start_brk = block_end;
	mm->brk = block_end;
	/* Room for the break. A gap costs its size in U, so it is small; malloc maps. */
	mm->context.mmap_base = block_end + SZ_1M;
	mm->stack_vm = 0;
	return 0;
}
