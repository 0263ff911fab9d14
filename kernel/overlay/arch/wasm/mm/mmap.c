// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap(), brk() and mremap(): where an area goes, and what it contains.
 *
 * U grows at its end only, so mappings go to the lowest gap that fits. A
 * mapping of a file is read in when it is made.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/machine.h>
#include "internal.h"

/* mm/util.c; declared in mm/internal.h only. */
unsigned long vm_mmap_pgoff(struct file *file, unsigned long address, unsigned long length,
			    unsigned long prot, unsigned long flags, unsigned long pgoff);

/* The most that U can grow to is the end of the last mapping. */
static unsigned long highest_end(void)
{
	return min((u64)auklet_machine.memory_pages << WASM_PAGE_SHIFT, (u64)TASK_SIZE);
}

static unsigned long find_gap(struct mm_struct *mm, unsigned long length)
{
	MA_STATE(mas, &mm->mm_mt, 0, 0);

	if (mas_empty_area(&mas, mm->context.mmap_base, highest_end() - 1, length))
		return -ENOMEM;
	return mas.index;
}

/*
 * Fills a new mapping from its file. What lies behind the file's end is zero
 * already.
 */
int wasm_read_file(struct file *file, unsigned long start, unsigned long length,
		   unsigned long pgoff)
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
	if (!file->f_op->mmap || !(file->f_mode & FMODE_CAN_READ || wasm_file_is_live(file)))
		return -ENODEV;
	/*
	 * The memory of a device cannot appear in U. What can be copied, such
	 * as /dev/zero, is read like a file.
	 */
	if (!S_ISREG(mode) && !S_ISBLK(mode) && !is_zero_device(file) &&
	    ((flags & MAP_TYPE) != MAP_PRIVATE || !file->f_op->mmap_capabilities ||
	     !(file->f_op->mmap_capabilities(file) & NOMMU_MAP_COPY)))
		return -ENODEV;
	if ((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE) &&
	    !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return 0;
}

/* What mmap() and, later, mprotect() may allow the mapping. */
static vm_flags_t mapping_flags(const struct file *file, unsigned long prot, unsigned long flags)
{
	vm_flags_t vm_flags = calc_vm_prot_bits(prot, 0) |
			      calc_vm_flag_bits((struct file *)file, flags) |
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

/*
 * The file of overlayfs has no pages: the mapping becomes one of the real file,
 * which this sets @vma->vm_file to. Some file systems say ENOSYS, because
 * there is no MMU. Their files can be read.
 */
static int map_real_file(struct vm_area_struct *vma)
{
	int error = call_mmap(vma->vm_file, vma);

	return error == -ENOSYS ? 0 : error;
}

static bool has_real_file(const struct file *file)
{
	return file->f_path.dentry->d_flags & DCACHE_OP_REAL;
}

/* A shared mapping at @start, where nothing is mapped, that follows @file. */
static int map_live_file(struct mm_struct *mm, unsigned long start, unsigned long length,
			 vm_flags_t vm_flags, struct file *file, unsigned long pgoff)
{
	struct vm_area_struct *vma;
	int error;

	vma = wasm_add_area(mm, start, start + length, vm_flags, file, pgoff);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	error = call_mmap(file, vma);
	if (!error)
		error = wasm_link_area(vma);
	if (error)
		do_munmap(mm, start, length, NULL);
	return error;
}

/*
 * The address of a new mapping: @address where it must or may be there, or a
 * gap.
 */
static unsigned long place_mapping(struct mm_struct *mm, unsigned long address,
				   unsigned long length, unsigned long flags)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (offset_in_page(address))
			return -EINVAL;
		if (address + length < address || address + length > TASK_SIZE)
			return -ENOMEM;
		if (flags & MAP_FIXED_NOREPLACE &&
		    find_vma_intersection(mm, address, address + length))
			return -EEXIST;
		return address;
	}
	address = PAGE_ALIGN(address);
	if (!address || address < mm->context.mmap_base || address + length < address ||
	    address + length > user_end() ||
	    find_vma_intersection(mm, address, address + length))
		return find_gap(mm, length);
	return address;
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

	address = place_mapping(mm, address, length, flags);
	if (IS_ERR_VALUE(address))
		return address;
	if (!wasm_within_limit(mm, length))
		return -ENOMEM;
	fresh = user_end();
	error = wasm_grow_memory(mm, address + length);
	if (error)
		return error;
	if (flags & MAP_FIXED) {
		error = do_munmap(mm, address, length, uf);
		if (error)
			return error;
	}

	if (file && !wasm_file_is_live(file)) {
		error = wasm_write_back_file(mm, file, pgoff, length >> PAGE_SHIFT);
		if (error)
			return error;
	}

	if (shared && wasm_file_is_live(file)) {
		error = map_live_file(mm, address, length, vm_flags, file, pgoff);
		return error ? error : address;
	}
	vma = wasm_add_area(mm, address, address + length, vm_flags, file, pgoff);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	/* Another mapping may have been here. */
	if (clear_area(address, length, fresh))
		return -ENOMEM;
	if (file) {
		error = shared && has_real_file(file) ? map_real_file(vma) : 0;
		if (!error && shared && wasm_file_is_live(vma->vm_file)) {
			error = wasm_link_area(vma);
		} else if (!error) {
			error = wasm_read_file(vma->vm_file, address, length, pgoff);
			if (!error && shared)
				error = wasm_sum_area(vma);
		}
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

/*
 * @vma becomes longer; the caller has made room in U. From @fresh on U is zero.
 */
static int extend_area(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long end,
		       unsigned long fresh)
{
	unsigned long old_end = vma->vm_end;
	int error = wasm_store_area(mm, vma->vm_start, end, vma);

	if (error)
		return error;
	vma->vm_end = end;
	wasm_count_area(mm, vma, (end - old_end) >> PAGE_SHIFT);
	return clear_area(old_end, end - old_end, fresh) ? -ENOMEM : 0;
}

/*
 * [@start, @end) becomes part of the heap, which is one area that ends at the
 * break.
 */
static int extend_heap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long fresh = user_end();
	struct vm_area_struct *vma;

	if (!wasm_within_limit(mm, end - start) || wasm_grow_memory(mm, end) ||
	    find_vma_intersection(mm, start, end))
		return -ENOMEM;
	vma = start > mm->start_brk ? vma_lookup(mm, start - 1) : NULL;
	if (vma)
		return extend_area(mm, vma, end, fresh);
	vma = wasm_add_area(mm, start, end, VM_DATA_DEFAULT_FLAGS, NULL, 0);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	return clear_area(start, end - start, fresh) ? -ENOMEM : 0;
}

SYSCALL_DEFINE1(brk, unsigned long, brk)
{
	struct mm_struct *mm = current->mm;
	unsigned long old_end, new_end, result;

	mmap_write_lock(mm);
	result = mm->brk;
	if (brk < mm->start_brk || brk > mm->context.mmap_base ||
	    check_data_rlimit(rlimit(RLIMIT_DATA), brk, mm->start_brk, mm->end_data,
			      mm->start_data))
		goto out;
	old_end = PAGE_ALIGN(mm->brk);
	new_end = PAGE_ALIGN(brk);
	if (new_end < old_end) {
		if (do_munmap(mm, new_end, old_end - new_end, NULL))
			goto out;
	} else if (new_end > old_end && extend_heap(mm, old_end, new_end)) {
		goto out;
	}
	mm->brk = brk;
	result = brk;
out:
	mmap_write_unlock(mm);
	return result;
}

/*
 * Whether the last part of @vma, which has @old_length, can have @new_length
 * where it is.
 */
static bool can_extend(struct mm_struct *mm, const struct vm_area_struct *vma,
		       unsigned long address, unsigned long old_length, unsigned long new_length)
{
	unsigned long end = address + new_length;

	return !vma->vm_file && address + old_length == vma->vm_end && end > address &&
	       !find_vma_intersection(mm, vma->vm_end, end) &&
	       wasm_within_limit(mm, new_length - old_length) && !wasm_grow_memory(mm, end);
}

/*
 * Moves [@address, @address + @old_length) of @vma to @target, where nothing is
 * mapped; only the mapping at @address is left if that fails.
 */
static unsigned long move_mapping(struct mm_struct *mm, struct vm_area_struct *vma,
				  unsigned long address, unsigned long old_length,
				  unsigned long target, unsigned long new_length,
				  unsigned long fresh)
{
	unsigned long pgoff = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
	struct vm_area_struct *moved;
	int error;

	if (area_is_live(vma)) {
		error = map_live_file(mm, target, new_length, vma->vm_flags, vma->vm_file, pgoff);
		if (error)
			return error;
	} else {
		moved = wasm_add_area(mm, target, target + new_length, vma->vm_flags,
				      vma->vm_file, pgoff);
		if (IS_ERR(moved))
			return PTR_ERR(moved);
		if (user_access.move(target, address, min(old_length, new_length)) ||
		    (new_length > old_length &&
		     clear_area(target + old_length, new_length - old_length, fresh))) {
			do_munmap(mm, target, new_length, NULL);
			return -EFAULT;
		}
	}
	error = do_munmap(mm, address, old_length, NULL);
	return error ? error : target;
}

static unsigned long do_mremap(struct mm_struct *mm, unsigned long address,
			       unsigned long old_length, unsigned long new_length,
			       unsigned long flags, unsigned long new_address)
{
	unsigned long target, fresh = user_end();
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
		if (can_extend(mm, vma, address, old_length, new_length)) {
			error = extend_area(mm, vma, address + new_length, fresh);
			return error ? error : address;
		}
		if (!(flags & MREMAP_MAYMOVE))
			return -ENOMEM;
	}
	if (vma->vm_flags & VM_MAYSHARE && !area_is_live(vma))
		return -ENODEV;
	if (flags & MREMAP_FIXED) {
		if (new_address + new_length < new_address ||
		    new_address + new_length > TASK_SIZE ||
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
	if (!wasm_within_limit(mm, new_length))
		return -ENOMEM;
	error = wasm_grow_memory(mm, target + new_length);
	if (error)
		return error;
	return move_mapping(mm, vma, address, old_length, target, new_length, fresh);
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
