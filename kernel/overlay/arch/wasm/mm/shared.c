// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings of files in memory, shared anonymous memory among them, between processes that share none.
 *
 * Each process has a copy of the file's pages in its U, and no hardware tells what its program stores there. So a copy is compared with the
 * page cache, and the bytes that differ are written there and to all other copies (publish()). That happens at the program's system calls if others
 * map the file too, else before the file is read or mapped, and when the mapping ends. What is written to the file goes to the copies at once.
 *
 * Programs that order their accesses by anything the kernel knows of see therefore what memory would show them. Others do not: between two
 * system calls of the one that stores, nobody else sees a store, and an atomic instruction is so in its own copy only. musl makes its
 * own by a system call if they are on shared memory (wasm_atomic), so semaphores, mutexes and the like work.
 *
 * Invariant: a copy differs from the page cache in those bytes only that its program has stored since the two were last compared.
 * Whoever changes the cache changes the copies before he gives up the inode's i_rwsem, which he holds for writing; whoever compares holds it
 * too, or he would take another's store that has not reached the copy yet for one of the program's, and undo it. A copy is in the file's i_mmap
 * from when it is filled until its U is no longer the process's.
 *
 * Locks: mmap_lock, i_rwsem, i_mmap_rwsem, the folio. The areas of other processes are held by i_mmap_rwsem, and with them their U.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/ramfs.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <asm/machine.h>
#include "internal.h"

/* A page as a program has it, and as the cache had it before. */
struct page_pair {
	u8 program[PAGE_SIZE];
	u8 cached[PAGE_SIZE];
};

static struct page_pair *alloc_pair(void)
{
	return (struct page_pair *)__get_free_pages(GFP_KERNEL, get_order(sizeof(struct page_pair)));
}

static void free_pair(struct page_pair *pair)
{
	free_pages((unsigned long)pair, get_order(sizeof(*pair)));
}

/* Whether the page cache is all there is of @file, and changes under the i_rwsem. */
bool wasm_file_is_live(const struct file *file)
{
	const struct inode *inode = file->f_mapping->host;

	return inode->i_fop == &ramfs_file_operations;
}

static struct address_space *area_mapping(const struct vm_area_struct *vma)
{
	return vma->vm_file->f_mapping;
}

static unsigned long address_of(const struct vm_area_struct *vma, pgoff_t index)
{
	return vma->vm_start + ((index - vma->vm_pgoff) << PAGE_SHIFT);
}

static pgoff_t last_index(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* How many bytes of page @index belong to the file. */
static unsigned int bytes_of_page(const struct inode *inode, pgoff_t index)
{
	return clamp_t(loff_t, i_size_read(inode) - ((loff_t)index << PAGE_SHIFT), 0, PAGE_SIZE);
}

/* A page of the cache, with a reference to *@folio; a hole is a page of zeros, and no folio. */
static const u8 *get_cached(struct address_space *mapping, pgoff_t index, struct folio **folio)
{
	*folio = filemap_get_folio(mapping, index);
	if (!IS_ERR(*folio)) {
		if (folio_test_uptodate(*folio))
			return (u8 *)folio_address(*folio) + offset_in_folio(*folio, (loff_t)index << PAGE_SHIFT);
		/* Somebody reads a hole, without the i_rwsem, and has just made a page of it. */
		folio_put(*folio);
	}
	*folio = NULL;
	return empty_zero_page;
}

static void put_cached(struct folio *folio)
{
	if (folio)
		folio_put(folio);
}

static int write_cached(struct address_space *mapping, loff_t position, const u8 *from, unsigned int length)
{
	struct folio *folio;
	void *data = NULL;
	int result;

	/* Without the file: tmpfs takes it for a store then, which is no write to what is sealed. */
	result = mapping->a_ops->write_begin(NULL, mapping, position, length, &folio, &data);
	if (result < 0)
		return result;
	memcpy_to_folio(folio, offset_in_folio(folio, position), (const char *)from, length);
	result = mapping->a_ops->write_end(NULL, mapping, position, length, length, folio, data);
	return result < 0 ? result : 0;
}

/* Page @index, from @offset on, of all programs but @except's. The i_mmap is locked. */
static void update_copies(struct address_space *mapping, pgoff_t index, unsigned int offset, const u8 *now,
			  const u8 *before, unsigned int length, const struct vm_area_struct *except)
{
	struct update update = { .now = now, .before = before, .length = length };
	struct vm_area_struct *vma;

	vma_interval_tree_foreach(vma, &mapping->i_mmap, index, index)
		if (vma != except)
			wasm_remote_update(&update, vma->vm_mm, address_of(vma, index) + offset);
	wasm_remote_update_rest(&update);
}

/* What a program pays for at every system call, page by page: three times as fast as memcmp(). Both are aligned. */
static bool is_same(const u8 *a, const u8 *b, unsigned int length)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	unsigned int block = 4 * sizeof(u64);

	for (; length >= block; length -= block, x += 4, y += 4)
		if ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]))
			return false;
	return !memcmp(x, y, length);
}

static int publish_page(struct vm_area_struct *vma, pgoff_t index, unsigned int length, struct page_pair *pair)
{
	struct address_space *mapping = area_mapping(vma);
	unsigned int first = 0;
	struct folio *folio;
	const u8 *cached;
	bool same;
	int error;

	if (wasm_remote_copy(vma->vm_mm, address_of(vma, index), pair->program, length, false) != length)
		return -EFAULT;
	cached = get_cached(mapping, index, &folio);
	same = is_same(pair->program, cached, length);
	if (!same)
		memcpy(pair->cached, cached, length);
	put_cached(folio);
	if (same)
		return 0;
	while (pair->program[first] == pair->cached[first])
		first++;
	while (pair->program[length - 1] == pair->cached[length - 1])
		length--;
	error = write_cached(mapping, ((loff_t)index << PAGE_SHIFT) + first, pair->program + first,
			     length - first);
	if (error)
		return error;
	update_copies(mapping, index, first, pair->program + first, pair->cached + first, length - first, vma);
	return file_update_time(vma->vm_file);
}

/* What the program of @vma has stored to pages [@first, @last] of the file. The i_rwsem and the i_mmap are locked. */
static int publish(struct vm_area_struct *vma, pgoff_t first, pgoff_t last, struct page_pair *pair)
{
	struct inode *inode = area_mapping(vma)->host;
	unsigned int length;
	int error = 0;

	for (; first <= last && !error; first++) {
		length = bytes_of_page(inode, first);
		if (!length)
			break;
		error = publish_page(vma, first, length, pair);
		cond_resched();
	}
	return error;
}

static bool may_store(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
}

/* What the program has stored to [@start, @end) of a live area. */
int wasm_publish_area(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct address_space *mapping = area_mapping(vma);
	pgoff_t first = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	struct page_pair *pair;
	int error;

	if (!may_store(vma))
		return 0;
	pair = alloc_pair();
	if (!pair)
		return -ENOMEM;
	inode_lock(mapping->host);
	i_mmap_lock_read(mapping);
	error = publish(vma, first, first + ((end - start) >> PAGE_SHIFT) - 1, pair);
	i_mmap_unlock_read(mapping);
	inode_unlock(mapping->host);
	free_pair(pair);
	return error;
}

/* Whether @vma is the only area of its file. Without locks: who begins to map the file asks for what was stored. */
static bool is_alone(const struct vm_area_struct *vma)
{
	const struct rb_node *node = &vma->shared.rb;

	return READ_ONCE(area_mapping(vma)->i_mmap.rb_root.rb_node) == node && !READ_ONCE(node->rb_left) &&
	       !READ_ONCE(node->rb_right);
}

/*
 * What a program has stored to pages [@first, @last] that does not publish it at its system calls, because it is the only one to map the
 * file. The i_rwsem is locked.
 */
static int publish_unseen(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct vm_area_struct *vma;
	struct page_pair *pair;
	int error = 0;

	i_mmap_lock_read(mapping);
	vma = vma_interval_tree_iter_first(&mapping->i_mmap, 0, ULONG_MAX);
	if (vma && is_alone(vma) && may_store(vma)) {
		pair = alloc_pair();
		error = pair ? publish(vma, max(first, vma->vm_pgoff), min(last, last_index(vma)), pair) : -ENOMEM;
		free_pair(pair);
	}
	i_mmap_unlock_read(mapping);
	return error;
}

/* Before the file is read. */
void publish_file_areas(struct address_space *mapping, loff_t position, size_t count)
{
	if (!count || !mapping_writably_mapped(mapping))
		return;
	inode_lock(mapping->host);
	publish_unseen(mapping, position >> PAGE_SHIFT, (position + count - 1) >> PAGE_SHIFT);
	inode_unlock(mapping->host);
}

/* After @count bytes were written to the file, with the i_rwsem still locked. */
void update_file_areas(struct address_space *mapping, loff_t position, size_t count)
{
	unsigned int offset, part;
	struct folio *folio;
	const u8 *cached;

	if (!mapping_mapped(mapping))
		return;
	i_mmap_lock_read(mapping);
	for (; count; position += part, count -= part) {
		offset = offset_in_page(position);
		part = min_t(size_t, count, PAGE_SIZE - offset);
		cached = get_cached(mapping, position >> PAGE_SHIFT, &folio);
		update_copies(mapping, position >> PAGE_SHIFT, offset, cached + offset, NULL, part, NULL);
		put_cached(folio);
	}
	i_mmap_unlock_read(mapping);
}

/* Bytes [@start, @end) of the file are cut off or a hole, with the i_rwsem locked: zero, also if the file grows again. */
void zero_file_areas(struct address_space *mapping, loff_t start, loff_t end)
{
	pgoff_t first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT, lowest = ULONG_MAX, highest = 0, index;
	struct vm_area_struct *vma;

	if (start >= end || !mapping_mapped(mapping))
		return;
	i_mmap_lock_read(mapping);
	/* A file may be much larger than what is mapped of it. */
	vma_interval_tree_foreach(vma, &mapping->i_mmap, first, last) {
		lowest = min(lowest, vma->vm_pgoff);
		highest = max(highest, last_index(vma));
	}
	for (index = max(first, lowest); index <= min(last, highest); index++) {
		unsigned int from = index == first ? offset_in_page(start) : 0;
		unsigned int to = index == last ? offset_in_page(end - 1) + 1 : PAGE_SIZE;

		update_copies(mapping, index, from, empty_zero_page, NULL, to - from, NULL);
	}
	i_mmap_unlock_read(mapping);
}

/* tmpfs has told zero_file_areas(), which knows of files of more than 4 GiB. */
int nommu_shrink_inode_mappings(struct inode *inode, size_t size, size_t newsize)
{
	return 0;
}

/* The current process's U is bound. */
static int fill_area(const struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);
	unsigned long address = vma->vm_start;
	pgoff_t index = vma->vm_pgoff;
	struct folio *folio;
	const u8 *cached;
	int error = 0;

	for (; address < vma->vm_end && !error; address += PAGE_SIZE, index++) {
		cached = get_cached(mapping, index, &folio);
		if (user_access.copy_to(address, cached, PAGE_SIZE))
			error = -EFAULT;
		put_cached(folio);
		cond_resched();
	}
	return error;
}

static void insert_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	vma_interval_tree_insert(vma, &mapping->i_mmap);
	if (may_store(vma)) {
		mapping_allow_writable(mapping);
		vma->vm_mm->context.shared_areas++;
	}
}

static void remove_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	vma_interval_tree_remove(vma, &mapping->i_mmap);
	if (may_store(vma)) {
		mapping_unmap_writable(mapping);
		vma->vm_mm->context.shared_areas--;
	}
}

/* Fills a mapping of the current process, whose U is bound, from its file, which it follows from then on. */
int wasm_link_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);
	int error;

	inode_lock(mapping->host);
	error = publish_unseen(mapping, 0, ULONG_MAX);
	if (!error)
		error = fill_area(vma);
	if (!error) {
		i_mmap_lock_write(mapping);
		insert_area(vma);
		i_mmap_unlock_write(mapping);
	}
	inode_unlock(mapping->host);
	return error;
}

/* What the program has stored is published before. */
void wasm_unlink_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	i_mmap_lock_write(mapping);
	remove_area(vma);
	i_mmap_unlock_write(mapping);
	RB_CLEAR_NODE(&vma->shared.rb);
}

/* @upper is to be what @lower is from @at on. */
void wasm_split_live_area(struct vm_area_struct *lower, struct vm_area_struct *upper, unsigned long at)
{
	struct address_space *mapping = area_mapping(lower);

	i_mmap_lock_write(mapping);
	remove_area(lower);
	lower->vm_end = at;
	insert_area(lower);
	insert_area(upper);
	i_mmap_unlock_write(mapping);
}

/* Before a system call of the program, and when it ends: whoever learns of what the call does may look at what was stored before. */
void wasm_publish_areas(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(areas, mm, 0);

	mmap_read_lock(mm);
	for_each_vma(areas, vma) {
		/* Who begins to read or map the file asks for what its only area has; mprotect() did for one that cannot be stored to. */
		if (!area_is_live(vma) || !(vma->vm_flags & VM_WRITE) || is_alone(vma))
			continue;
		/* As for a page that could not be had when it was stored to. */
		if (wasm_publish_area(vma, vma->vm_start, vma->vm_end))
			force_sig_fault(SIGBUS, BUS_ADRERR, (void __user *)vma->vm_start);
	}
	mmap_read_unlock(mm);
}

/* exec: the U may become the new program's before this mm is gone. */
void wasm_unlink_areas(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(areas, mm, 0);

	mmap_write_lock(mm);
	for_each_vma(areas, vma)
		if (area_is_live(vma))
			wasm_unlink_area(vma);
	mmap_write_unlock(mm);
}

static u32 result_of(unsigned int operation, u32 old, u32 operand)
{
	switch (operation) {
	case WASM_ATOMIC_ADD:
		return old + operand;
	case WASM_ATOMIC_AND:
		return old & operand;
	case WASM_ATOMIC_OR:
		return old | operand;
	default:
		return operand;
	}
}

/* In the program's U; other threads may change the word meanwhile. */
static int change_word(unsigned int operation, u32 __user *word, u32 operand, u32 expected, u32 *old)
{
	u32 seen;

	if (get_user(seen, word))
		return -EFAULT;
	do {
		*old = seen;
		if (operation == WASM_ATOMIC_COMPARE && *old != expected)
			return 0;
		if (wasm_user_compare_exchange(word, *old, result_of(operation, *old, operand), &seen))
			return -EFAULT;
	} while (seen != *old);
	return 0;
}

/* The same between all programs that map the page. */
static int change_shared_word(struct vm_area_struct *vma, unsigned int operation, u32 __user *word, u32 operand,
			      u32 expected, u32 *old)
{
	struct address_space *mapping = area_mapping(vma);
	pgoff_t index = linear_page_index(vma, (unsigned long)word);
	struct page_pair *pair = alloc_pair();
	int error;

	if (!pair)
		return -ENOMEM;
	inode_lock(mapping->host);
	i_mmap_lock_read(mapping);
	error = publish(vma, index, index, pair);
	if (!error)
		error = change_word(operation, word, operand, expected, old);
	if (!error)
		error = publish(vma, index, index, pair);
	i_mmap_unlock_read(mapping);
	inode_unlock(mapping->host);
	free_pair(pair);
	return error;
}

static int change_any_word(unsigned int operation, u32 __user *word, u32 operand, u32 expected, u32 *old)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int error;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, (unsigned long)word);
	error = vma && area_is_live(vma) && may_store(vma) ?
		change_shared_word(vma, operation, word, operand, expected, old) :
		change_word(operation, word, operand, expected, old);
	mmap_read_unlock(mm);
	return error;
}

int compare_exchange_in_area(u32 *curval, u32 __user *uaddr, u32 uval, u32 newval)
{
	return change_any_word(WASM_ATOMIC_COMPARE, uaddr, newval, uval, curval) ? -EFAULT : 0;
}

/* An atomic operation on a word that may be shared; its old value goes to *@value, where a compare finds what it expects. */
SYSCALL_DEFINE4(wasm_atomic, unsigned int, operation, u32 __user *, word, u32, operand, u32 __user *, value)
{
	u32 expected = 0, old;
	int error;

	if (operation > WASM_ATOMIC_COMPARE || (unsigned long)word % sizeof(u32))
		return -EINVAL;
	if (!access_ok(word, sizeof(u32)) || (operation == WASM_ATOMIC_COMPARE && get_user(expected, value)))
		return -EFAULT;
	error = change_any_word(operation, word, operand, expected, &old);
	if (!error && put_user(old, value))
		error = -EFAULT;
	return error;
}
