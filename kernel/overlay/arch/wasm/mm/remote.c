// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to the U of another process: ptrace, /proc/PID/{mem,cmdline,environ},
 * process_vm_readv().
 *
 * The other process need not help. It may run, sleep, or be stopped. This
 * worker binds its user-access functions to that U for the time of the copy. It
 * can do so only if it has been told of that memory. Otherwise the host copies,
 * which knows all memories. The caller holds the mm meanwhile, and so the U.
 */
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "internal.h"

/* Copies from or to the bound U. Returns how many bytes were copied. */
static unsigned long copy_bound(unsigned long address, void *buffer, unsigned long length,
				bool write)
{
	unsigned long end = user_access.pages() << WASM_PAGE_SHIFT;
	unsigned long left;

	if (address >= end)
		return 0;
	length = min(length, end - address);
	left = write ? user_access.copy_to(address, buffer, length) :
		       user_access.copy_from(buffer, address, length);
	return length - left;
}

/* Returns the number of this worker's own U, or AUKLET_NO_MEMORY. */
static u32 own_memory(void)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	return worker ? worker->memory : AUKLET_NO_MEMORY;
}

/*
 * Binds the U of @mm. Returns false if this worker does not know it. The caller
 * must unbind() then, and must not sleep before.
 */
static bool bind(const struct mm_struct *mm)
{
	return mm->context.memory == own_memory() ||
	       (get_wasm_worker() && !engine_bind_memory(mm->context.memory));
}

static void unbind(const struct mm_struct *mm)
{
	if (mm->context.memory != own_memory())
		engine_bind_memory((int)own_memory());
}

/*
 * Copies @length bytes between @address of @mm and @buffer. Returns how many
 * were copied. May sleep.
 */
int wasm_remote_copy(struct mm_struct *mm, unsigned long address, void *buffer, int length,
		     bool write)
{
	unsigned long copied;

	/* No object lies in the first page of a U: __access_ok(). */
	if (mm->context.memory == AUKLET_NO_MEMORY || length <= 0 || address < PAGE_SIZE)
		return 0;
	if (!bind(mm))
		return wasm_copy_by_host(mm->context.memory, address, buffer, length, write);
	copied = copy_bound(address, buffer, length, write);
	unbind(mm);
	return copied;
}

/*
 * Finds the last bytes before @end that @update must write. Returns where they
 * end and sets *@from to where they begin, or returns 0 if there are none.
 *
 * The last bytes are written first: a program may look at its copy meanwhile
 * (publish(), shared.c).
 */
static unsigned int previous_change(const struct update *update, unsigned int end,
				    unsigned int *from)
{
	const u8 *now = update->now, *before = update->before;

	while (before && end && now[end - 1] == before[end - 1])
		end--;
	for (*from = before ? end : 0; *from && now[*from - 1] != before[*from - 1]; --*from)
		;
	return end;
}

/*
 * A worker itself writes an update to this many memories at most. It must make
 * functions for each memory that it binds for the first time, and it keeps
 * them. Without a limit, hundreds of processes that share a page would each
 * make them for all others.
 */
#define BOUND_UPDATES	8

/*
 * Writes @update to @address of @mm now, or at the latest in
 * wasm_remote_update_rest(). May sleep.
 */
void wasm_remote_update(struct update *update, struct mm_struct *mm, unsigned long address)
{
	unsigned int from, end;

	if (update->bound++ >= BOUND_UPDATES || !bind(mm)) {
		update->place[update->places].memory = mm->context.memory;
		update->place[update->places++].address = address;
		if (update->places == AUKLET_COPY_PLACES)
			wasm_remote_update_rest(update);
		return;
	}
	for (end = previous_change(update, update->length, &from); end;
	     end = previous_change(update, from, &from))
		copy_bound(address + from, (void *)(update->now + from), end - from, true);
	unbind(mm);
}

/*
 * Asks the host for what wasm_remote_update() has put off. One request takes
 * longer than the host needs for many copies, so they are collected.
 */
void wasm_remote_update_rest(struct update *update)
{
	unsigned int from, end, moved = 0, i;

	if (!update->places)
		return;
	for (end = previous_change(update, update->length, &from); end;
	     end = previous_change(update, from, &from)) {
		for (i = 0; i < update->places; i++)
			update->place[i].address += from - moved;
		moved = from;
		wasm_update_by_host(update->place, update->places, update->now + from, end - from);
	}
	update->places = 0;
}

/*
 * True if get_user_pages() would give pages of @vma to a caller with
 * @gup_flags.
 */
static bool area_allows(const struct vm_area_struct *vma, unsigned int gup_flags)
{
	if (gup_flags & FOLL_WRITE)
		return vma->vm_flags & VM_WRITE ||
		       (gup_flags & FOLL_FORCE && is_cow_mapping(vma->vm_flags));
	return vma->vm_flags & (gup_flags & FOLL_FORCE ? VM_MAYREAD : VM_READ);
}

/* Returns how many of @length bytes at @address lie in areas that allow it. */
static int reach_in_areas(struct mm_struct *mm, unsigned long address, int length,
			  unsigned int gup_flags)
{
	unsigned long end = address + length < address ? TASK_SIZE : address + length;
	unsigned long at = address;
	struct vm_area_struct *vma;

	VMA_ITERATOR(areas, mm, address);

	for_each_vma_range(areas, vma, end) {
		if (vma->vm_start > at || !area_allows(vma, gup_flags))
			break;
		at = min(vma->vm_end, end);
	}
	return at - address;
}

/* wasm_remote_copy() on behalf of a program: it obeys the protection. */
static int remote_access(struct mm_struct *mm, unsigned long address, void *buffer, int length,
			 unsigned int gup_flags)
{
	int copied;

	if (length <= 0 || mmap_read_lock_killable(mm))
		return 0;
	length = reach_in_areas(mm, address, length, gup_flags);
	copied = wasm_remote_copy(mm, address, buffer, length, gup_flags & FOLL_WRITE);
	mmap_read_unlock(mm);
	return copied;
}

int access_remote_vm(struct mm_struct *mm, unsigned long address, void *buffer, int length,
		     unsigned int gup_flags)
{
	return remote_access(mm, address, buffer, length, gup_flags);
}

int access_process_vm(struct task_struct *task, unsigned long address, void *buffer, int length,
		      unsigned int gup_flags)
{
	struct mm_struct *mm = get_task_mm(task);
	int copied;

	if (!mm)
		return 0;
	copied = remote_access(mm, address, buffer, length, gup_flags);
	mmput(mm);
	return copied;
}
EXPORT_SYMBOL_GPL(access_process_vm);

/*
 * Copies between @local of this process and @length bytes at @address of @mm,
 * through @page. Returns how many bytes were copied.
 */
static ssize_t copy_vector(struct mm_struct *mm, unsigned long address, size_t length,
			   struct iov_iter *local, void *page, bool write)
{
	ssize_t done = 0;
	size_t part, copied;

	while (length && iov_iter_count(local)) {
		part = min3(length, iov_iter_count(local), (size_t)PAGE_SIZE);
		if (write) {
			part = copy_from_iter(page, part, local);
			copied = remote_access(mm, address, page, part, FOLL_WRITE);
			iov_iter_revert(local, part - copied);
		} else {
			part = remote_access(mm, address, page, part, 0);
			copied = copy_to_iter(page, part, local);
		}
		done += copied;
		if (!copied || copied != part)
			break;
		address += copied;
		length -= copied;
	}
	return done;
}

static ssize_t copy_vectors(struct mm_struct *mm, const struct iovec *remote, unsigned long count,
			    struct iov_iter *local, bool write)
{
	void *page = (void *)__get_free_page(GFP_KERNEL);
	ssize_t copied, done = 0;
	unsigned long i;

	if (!page)
		return -ENOMEM;
	for (i = 0; i < count && iov_iter_count(local); i++) {
		copied = copy_vector(mm, (unsigned long)remote[i].iov_base, remote[i].iov_len,
				     local, page, write);
		done += copied;
		if (copied < remote[i].iov_len && iov_iter_count(local)) {
			done = done ?: -EFAULT;
			break;
		}
	}
	free_page((unsigned long)page);
	return done;
}

/* Does what mm/process_vm_access.c does, which pins pages for it. */
static ssize_t process_vm_rw(pid_t pid, const struct iovec __user *local_vector,
			     unsigned long local_count, const struct iovec __user *remote_vector,
			     unsigned long remote_count, unsigned long flags, bool write)
{
	struct iovec local_stack[UIO_FASTIOV], remote_stack[UIO_FASTIOV];
	struct iovec *local = local_stack, *remote;
	struct task_struct *task;
	struct mm_struct *mm;
	struct iov_iter iter;
	ssize_t result;

	if (flags)
		return -EINVAL;
	result = import_iovec(write ? ITER_SOURCE : ITER_DEST, local_vector, local_count,
			      UIO_FASTIOV, &local, &iter);
	if (result < 0)
		return result;
	if (!iov_iter_count(&iter))
		goto free_local;
	remote = iovec_from_user(remote_vector, remote_count, UIO_FASTIOV, remote_stack, false);
	if (IS_ERR(remote)) {
		result = PTR_ERR(remote);
		goto free_local;
	}
	task = find_get_task_by_vpid(pid);
	if (!task) {
		result = -ESRCH;
		goto free_remote;
	}
	mm = mm_access(task, PTRACE_MODE_ATTACH_REALCREDS);
	if (IS_ERR_OR_NULL(mm)) {
		/*
		 * EPERM, as in that file, for a task that may not be accessed.
		 */
		result = !mm ? -ESRCH : PTR_ERR(mm) == -EACCES ? -EPERM : PTR_ERR(mm);
		goto put_task;
	}
	result = copy_vectors(mm, remote, remote_count, &iter, write);
	mmput(mm);
put_task:
	put_task_struct(task);
free_remote:
	if (remote != remote_stack)
		kfree(remote);
free_local:
	kfree(local);
	return result;
}

SYSCALL_DEFINE6(process_vm_readv, pid_t, pid, const struct iovec __user *, local,
		unsigned long, local_count, const struct iovec __user *, remote,
		unsigned long, remote_count, unsigned long, flags)
{
	return process_vm_rw(pid, local, local_count, remote, remote_count, flags, false);
}

SYSCALL_DEFINE6(process_vm_writev, pid_t, pid, const struct iovec __user *, local,
		unsigned long, local_count, const struct iovec __user *, remote,
		unsigned long, remote_count, unsigned long, flags)
{
	return process_vm_rw(pid, local, local_count, remote, remote_count, flags, true);
}
