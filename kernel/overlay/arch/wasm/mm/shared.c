// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings of files in memory, shared anonymous memory among them.
 *
 * Each process has a copy of the file's pages in its U, and no hardware tells
 * what its program stores there. So the kernel compares the copy with the page
 * cache, and writes the bytes that differ there and to all other copies: it
 * publishes them. It does so
 *
 *  - at the program's system calls, if others map the file too;
 *  - else before somebody reads or maps the file (publish_unseen());
 *  - when the mapping ends.
 *
 * What is written to the file goes to all copies at once.
 *
 * So programs that order their accesses by anything that the kernel knows of
 * see what memory would show them. Others do not: nobody else sees a store
 * before the next system call of the program that made it, and an atomic
 * instruction is atomic in its own copy only. musl makes its atomic operations
 * by a system call if they are on shared memory (shared_atomic.c), so
 * semaphores, mutexes and the like work.
 *
 * Invariant: a copy differs from the page cache only in bytes that its program
 * has stored since the two were last compared. Whoever changes the cache holds
 * the inode's i_rwsem for writing, and changes the copies before giving it up.
 * Whoever compares holds it too. Otherwise a change that has not reached the
 * copy yet would look like a store of the program, and would be undone. A copy
 * is in the file's i_mmap from when it is filled until its U is no longer the
 * process's.
 *
 * Locks: mmap_lock, i_rwsem, i_mmap_rwsem, the folio. i_mmap_rwsem keeps the
 * areas of other processes, and with them their U.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/ramfs.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <asm/machine.h>
#include "internal.h"

/* A page as a program has it, and as the cache had it before. */
struct page_pair {
	u8 program[PAGE_SIZE];
	u8 cached[PAGE_SIZE];
};

static struct page_pair *alloc_pair(void)
{
	return (void *)__get_free_pages(GFP_KERNEL, get_order(sizeof(struct page_pair)));
}

static void free_pair(struct page_pair *pair)
{
	free_pages((unsigned long)pair, get_order(sizeof(*pair)));
}

/* True if the page cache is all of @file, and changes under the i_rwsem. */
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

/*
 * Returns a page of the cache, with a reference to *@folio. A hole is a page of
 * zeros and no folio.
 */
static const u8 *get_cached(struct address_space *mapping, pgoff_t index, struct folio **folio)
{
	*folio = filemap_get_folio(mapping, index);
	if (!IS_ERR(*folio)) {
		if (folio_test_uptodate(*folio))
			return (u8 *)folio_address(*folio) +
			       offset_in_folio(*folio, (loff_t)index << PAGE_SHIFT);
		/*
		 * A reader of a hole, who needs no i_rwsem, has just made a
		 * page of it.
		 */
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

static int write_cached(struct address_space *mapping, loff_t position, const u8 *from,
			unsigned int length)
{
	struct folio *folio;
	void *data = NULL;
	int result;

	/*
	 * Without a file, tmpfs takes this for a store, which a seal against
	 * writes does not forbid.
	 */
	result = mapping->a_ops->write_begin(NULL, mapping, position, length, &folio, &data);
	if (result < 0)
		return result;
	memcpy_to_folio(folio, offset_in_folio(folio, position), (const char *)from, length);
	result = mapping->a_ops->write_end(NULL, mapping, position, length, length, folio, data);
	return result < 0 ? result : 0;
}

/*
 * Writes @length bytes to page @index, from @offset on, of all copies but that
 * of @except. The i_mmap is locked.
 */
static void update_copies(struct address_space *mapping, pgoff_t index, unsigned int offset,
			  const u8 *now, const u8 *before, unsigned int length,
			  const struct vm_area_struct *except)
{
	struct update update = { .now = now, .before = before, .length = length };
	struct vm_area_struct *vma;

	vma_interval_tree_foreach(vma, &mapping->i_mmap, index, index)
		if (vma != except)
			wasm_remote_update(&update, vma->vm_mm, address_of(vma, index) + offset);
	wasm_remote_update_rest(&update);
}

/*
 * Compares two aligned buffers. A program pays for this at every system call,
 * page by page, and it is three times as fast as memcmp().
 */
static bool is_same(const u8 *a, const u8 *b, unsigned int length)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	unsigned int block = 4 * sizeof(u64);

	for (; length >= block; length -= block, x += 4, y += 4)
		if ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]))
			return false;
	return !memcmp(x, y, length);
}

static int publish_page(struct vm_area_struct *vma, pgoff_t index, unsigned int length,
			struct page_pair *pair)
{
	struct address_space *mapping = area_mapping(vma);
	unsigned int first = 0;
	struct folio *folio;
	const u8 *cached;
	bool same;
	int error;

	if (wasm_remote_copy(vma->vm_mm, address_of(vma, index), pair->program, length, false) !=
	    length)
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
	error = write_cached(mapping, ((loff_t)index << PAGE_SHIFT) + first,
			     pair->program + first, length - first);
	if (error)
		return error;
	update_copies(mapping, index, first, pair->program + first, pair->cached + first,
		      length - first, vma);
	return file_update_time(vma->vm_file);
}

/*
 * Publishes what the program of @vma has stored to pages [@first, @last] of the
 * file. The i_rwsem and the i_mmap are locked.
 */
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

/* True if the program may store to @vma, now or after mprotect(). */
bool wasm_may_store(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
}

/* Publishes what the program has stored to [@start, @end) of a live area. */
int wasm_publish_area(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct address_space *mapping = area_mapping(vma);
	pgoff_t first = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	struct page_pair *pair;
	int error;

	if (!wasm_may_store(vma))
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

/*
 * True if @vma is the only area of its file. It needs no locks: whoever begins
 * to map the file publishes what was stored until then.
 */
static bool is_alone(const struct vm_area_struct *vma)
{
	const struct rb_node *node = &vma->shared.rb;

	return READ_ONCE(area_mapping(vma)->i_mmap.rb_root.rb_node) == node &&
	       !READ_ONCE(node->rb_left) && !READ_ONCE(node->rb_right);
}

/*
 * A program that is the only one to map the file does not publish at its system
 * calls. Publishes what it has stored to pages [@first, @last]. The i_rwsem is
 * locked.
 */
static int publish_unseen(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct vm_area_struct *vma;
	struct page_pair *pair;
	int error = 0;

	i_mmap_lock_read(mapping);
	vma = vma_interval_tree_iter_first(&mapping->i_mmap, 0, ULONG_MAX);
	if (vma && is_alone(vma) && wasm_may_store(vma)) {
		pair = alloc_pair();
		error = pair ? publish(vma, max(first, vma->vm_pgoff),
				       min(last, last_index(vma)), pair) : -ENOMEM;
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

/* After @count bytes were written to the file, the i_rwsem still locked. */
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
		update_copies(mapping, position >> PAGE_SHIFT, offset, cached + offset, NULL,
			      part, NULL);
		put_cached(folio);
	}
	i_mmap_unlock_read(mapping);
}

/*
 * Bytes [@start, @end) of the file were cut off, or became a hole. They are
 * zero, also if the file grows again. The i_rwsem is locked.
 */
void zero_file_areas(struct address_space *mapping, loff_t start, loff_t end)
{
	pgoff_t first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	pgoff_t lowest = ULONG_MAX, highest = 0, index;
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

/* tmpfs has called zero_file_areas(), which knows files of more than 4 GiB. */
int nommu_shrink_inode_mappings(struct inode *inode, size_t size, size_t newsize)
{
	return 0;
}

/* The U of the current process must be bound. */
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
	if (wasm_may_store(vma)) {
		mapping_allow_writable(mapping);
		vma->vm_mm->context.shared_areas++;
	}
}

static void remove_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	vma_interval_tree_remove(vma, &mapping->i_mmap);
	if (wasm_may_store(vma)) {
		mapping_unmap_writable(mapping);
		vma->vm_mm->context.shared_areas--;
	}
}

/*
 * Fills a mapping of the current process, whose U is bound, from its file. The
 * mapping follows the file from then on.
 */
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

/* The caller has published what the program has stored. */
void wasm_unlink_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	i_mmap_lock_write(mapping);
	remove_area(vma);
	i_mmap_unlock_write(mapping);
	RB_CLEAR_NODE(&vma->shared.rb);
}

/* @upper becomes what @lower is from @at on. */
void wasm_split_live_area(struct vm_area_struct *lower, struct vm_area_struct *upper,
			  unsigned long at)
{
	struct address_space *mapping = area_mapping(lower);

	i_mmap_lock_write(mapping);
	remove_area(lower);
	lower->vm_end = at;
	insert_area(lower);
	insert_area(upper);
	i_mmap_unlock_write(mapping);
}

/*
 * Called before each system call of the program, and when it ends: whoever
 * learns what the call does may look at what the program stored before.
 */
void wasm_publish_areas(struct mm_struct *mm)
{
	VMA_ITERATOR(areas, mm, 0);
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	for_each_vma(areas, vma) {
		/*
		 * An area that is alone on its file is published by whoever
		 * next reads or maps the file (publish_unseen()); a read-only
		 * one was published by mprotect().
		 */
		if (!area_is_live(vma) || !(vma->vm_flags & VM_WRITE) || is_alone(vma))
			continue;
		/* Elsewhere the store itself would have failed so. */
		if (wasm_publish_area(vma, vma->vm_start, vma->vm_end))
			force_sig_fault(SIGBUS, BUS_ADRERR, (void __user *)vma->vm_start);
	}
	mmap_read_unlock(mm);
}

/* exec: the new program may get the U before this mm is gone. */
void wasm_unlink_areas(struct mm_struct *mm)
{
	VMA_ITERATOR(areas, mm, 0);
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	for_each_vma(areas, vma)
		if (area_is_live(vma))
			wasm_unlink_area(vma);
	mmap_write_unlock(mm);
}

/*
 * Makes a change of a word of a live area that may be stored to. It is atomic
 * between all programs that map the page.
 */
int wasm_change_shared_word(struct vm_area_struct *vma, struct word_change *change)
{
	struct address_space *mapping = area_mapping(vma);
	pgoff_t index = linear_page_index(vma, (unsigned long)change->word);
	struct page_pair *pair = alloc_pair();
	int error;

	if (!pair)
		return -ENOMEM;
	inode_lock(mapping->host);
	i_mmap_lock_read(mapping);
	error = publish(vma, index, index, pair);
	if (!error)
		error = wasm_change_word(change);
	if (!error)
		error = publish(vma, index, index, pair);
	i_mmap_unlock_read(mapping);
	inode_unlock(mapping->host);
	free_pair(pair);
	return error;
}
