// SPDX-License-Identifier: GPL-2.0-only
/*
 * mlock() and its relatives, and mincore().
 *
 * The kernel never takes a page of U from its program, so all of U is locked
 * and resident all the time. What is left is to find the errors that mm/mlock.c
 * and mm/mincore.c would find.
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/user_namespace.h>

static int may_lock(unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK);

	if (capable(CAP_IPC_LOCK))
		return 0;
	if (!limit)
		return -EPERM;
	return pages > limit >> PAGE_SHIFT ? -ENOMEM : 0;
}

/* Returns -ENOMEM if some page of the range is not mapped. */
static int check_range(unsigned long start, size_t length)
{
	unsigned long first = start & PAGE_MASK;
	unsigned long end = PAGE_ALIGN(start + length);
	unsigned long mapped = first;
	struct vm_area_struct *vma;

	VMA_ITERATOR(areas, current->mm, first);

	if (end < first)
		return -EINVAL;
	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	for_each_vma_range(areas, vma, end) {
		if (vma->vm_start > mapped)
			break;
		mapped = vma->vm_end;
	}
	mmap_read_unlock(current->mm);
	return mapped < end ? -ENOMEM : 0;
}

static int lock_range(unsigned long start, size_t length)
{
	int error = may_lock(PAGE_ALIGN(length + offset_in_page(start)) >> PAGE_SHIFT);

	return error ? error : check_range(start, length);
}

SYSCALL_DEFINE2(mlock, unsigned long, start, size_t, length)
{
	return lock_range(start, length);
}

SYSCALL_DEFINE3(mlock2, unsigned long, start, size_t, length, int, flags)
{
	return flags & ~MLOCK_ONFAULT ? -EINVAL : lock_range(start, length);
}

SYSCALL_DEFINE2(munlock, unsigned long, start, size_t, length)
{
	return check_range(start, length);
}

SYSCALL_DEFINE1(mlockall, int, flags)
{
	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	return may_lock(flags & MCL_CURRENT ? current->mm->total_vm : 0);
}

SYSCALL_DEFINE0(munlockall)
{
	return 0;
}

SYSCALL_DEFINE3(mincore, unsigned long, start, size_t, length, unsigned char __user *, vector)
{
	size_t pages = DIV_ROUND_UP_ULL(length, PAGE_SIZE), piece;
	u8 resident[64];
	int error;

	if (offset_in_page(start))
		return -EINVAL;
	error = check_range(start, length);
	if (error)
		return error == -EINVAL ? -ENOMEM : error;

	memset(resident, 1, sizeof(resident));
	for (; pages; pages -= piece, vector += piece) {
		piece = min(pages, sizeof(resident));
		if (copy_to_user(vector, resident, piece))
			return -EFAULT;
	}
	return 0;
}

/*
 * A segment of shared memory that is locked counts for its user. Nothing can be
 * swapped, so that is all there is to it.
 */
int user_shm_lock(size_t size, struct ucounts *ucounts)
{
	unsigned long pages = DIV_ROUND_UP(size, PAGE_SIZE);
	unsigned long limit = rlimit(RLIMIT_MEMLOCK);
	long locked = inc_rlimit_ucounts(ucounts, UCOUNT_RLIMIT_MEMLOCK, pages);

	if (limit != RLIM_INFINITY)
		limit >>= PAGE_SHIFT;
	if ((locked != LONG_MAX && locked <= limit) || capable(CAP_IPC_LOCK)) {
		if (get_ucounts(ucounts))
			return 1;
	}
	dec_rlimit_ucounts(ucounts, UCOUNT_RLIMIT_MEMLOCK, pages);
	return 0;
}

void user_shm_unlock(size_t size, struct ucounts *ucounts)
{
	dec_rlimit_ucounts(ucounts, UCOUNT_RLIMIT_MEMLOCK, DIV_ROUND_UP(size, PAGE_SIZE));
	put_ucounts(ucounts);
}
