// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings that follow their file: of files in tmpfs, shared anonymous
 * memory among them, and of files on ext4.
 *
 * Each process has a copy of the file's pages in its U, and no hardware tells
 * what its program stores there. So the kernel compares the copy with the page
 * cache, and writes the bytes that differ there and to all other copies: it
 * publishes them. It does so
 *
 *  - at the program's system calls, if others map the file too;
 *  - before another program's atomic operation, if the file may be a table of
 *    locks;
 *  - else before somebody reads, maps or syncs the file (publish_unseen()), and
 *    once in a second if the file is on a disk;
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
 * Locks: mmap_lock, the file system against being frozen, i_rwsem,
 * i_mmap_rwsem, the folio. i_mmap_rwsem keeps the areas of other processes, and
 * with them their U. Transactions of ext4 begin below all of these.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
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

static unsigned long address_of(const struct vm_area_struct *vma, pgoff_t index)
{
	return vma->vm_start + ((index - vma->vm_pgoff) << PAGE_SHIFT);
}

/*
 * Writes @length bytes to page @index, from @offset on, of all copies but that
 * of @except. The i_mmap is locked.
 */
void wasm_update_copies(struct address_space *mapping, pgoff_t index, unsigned int offset,
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
	/*
	 * No readahead: it takes the invalidate_lock, and truncate takes the
	 * i_mmap with that locked.
	 */
	cached = wasm_get_cached(NULL, mapping, index, &folio);
	if (IS_ERR(cached))
		return PTR_ERR(cached);
	same = is_same(pair->program, cached, length);
	if (!same)
		memcpy(pair->cached, cached, length);
	wasm_put_cached(folio);
	if (same)
		return 0;
	while (pair->program[first] == pair->cached[first])
		first++;
	while (pair->program[length - 1] == pair->cached[length - 1])
		length--;
	error = wasm_write_cached(mapping, ((loff_t)index << PAGE_SHIFT) + first,
				  pair->program + first, length - first);
	if (error)
		return error;
	wasm_update_copies(mapping, index, first, pair->program + first, pair->cached + first,
			   length - first, vma);
	return file_update_time(vma->vm_file);
}

/*
 * Publishes what the program of @vma has stored to pages [@first, @last] of the
 * file. The i_rwsem and the i_mmap are locked.
 *
 * Others may look without a system call while this goes on, and must not see
 * the last store before the first. In which order the program stored is not
 * known. Tables have their header at the start and store it last, as SQLite's
 * index of the write-ahead log does, so the start is published last.
 */
static int publish(struct vm_area_struct *vma, pgoff_t first, pgoff_t last, struct page_pair *pair)
{
	struct inode *inode = area_mapping(vma)->host;
	pgoff_t count = DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE), end;
	int error = 0;

	for (end = min(last + 1, count); end > first && !error; end--) {
		error = publish_page(vma, end - 1, wasm_bytes_of_page(inode, end - 1), pair);
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
	wasm_lock_contents(mapping);
	i_mmap_lock_read(mapping);
	error = publish(vma, first, first + ((end - start) >> PAGE_SHIFT) - 1, pair);
	i_mmap_unlock_read(mapping);
	wasm_unlock_contents(mapping);
	free_pair(pair);
	return error;
}

/*
 * True if the program of @vma may have stored what is not published. In a
 * system call it has not, as each begins with wasm_publish_areas(). That leaves
 * out an area that is alone. A read-only area was published by mprotect().
 */
static bool may_have_stores(const struct vm_area_struct *vma)
{
	return wasm_may_store(vma) && vma->vm_flags & VM_WRITE &&
	       (wasm_is_alone(vma) || !wasm_is_settled(vma->vm_mm));
}

/*
 * Publishes what all programs have stored to pages [@first, @last] of the file.
 * The i_rwsem and the i_mmap are locked.
 */
int wasm_publish_all(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct page_pair *pair = alloc_pair();
	struct vm_area_struct *vma;
	int error = 0;

	if (!pair)
		return -ENOMEM;
	vma_interval_tree_foreach(vma, &mapping->i_mmap, first, last)
		if (!error && may_have_stores(vma))
			error = publish(vma, max(first, vma->vm_pgoff), min(last, last_index(vma)),
					pair);
	free_pair(pair);
	return error;
}

/*
 * True if @vma is the only area of its file. It needs no locks: whoever begins
 * to map the file is in the i_mmap first, and then publishes what was stored
 * until then (wasm_link_area()).
 */
bool wasm_is_alone(const struct vm_area_struct *vma)
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
int wasm_publish_unseen(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct vm_area_struct *vma;
	struct page_pair *pair;
	int error = 0;

	i_mmap_lock_read(mapping);
	vma = vma_interval_tree_iter_first(&mapping->i_mmap, 0, ULONG_MAX);
	if (vma && wasm_is_alone(vma) && wasm_may_store(vma)) {
		pair = alloc_pair();
		error = pair ? publish(vma, max(first, vma->vm_pgoff),
				       min(last, last_index(vma)), pair) : -ENOMEM;
		free_pair(pair);
	}
	i_mmap_unlock_read(mapping);
	return error;
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
		cached = wasm_get_cached(vma->vm_file, mapping, index, &folio);
		if (IS_ERR(cached))
			return PTR_ERR(cached);
		if (user_access.copy_to(address, cached, PAGE_SIZE))
			error = -EFAULT;
		wasm_put_cached(folio);
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
		/* The former program of this memory may have left that. */
		wasm_set_settled(vma->vm_mm, false);
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

/* The caller has published what the program has stored. */
void wasm_unlink_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);

	i_mmap_lock_write(mapping);
	remove_area(vma);
	i_mmap_unlock_write(mapping);
	RB_CLEAR_NODE(&vma->shared.rb);
}

/*
 * Publishes what the program of the only area but @vma has stored. It did not
 * publish at its system calls until @vma came. The i_rwsem is locked.
 */
static int publish_formerly_alone(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);
	struct vm_area_struct *other, *only = NULL;
	unsigned int others = 0;
	struct page_pair *pair;
	int error = 0;

	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(other, &mapping->i_mmap, 0, ULONG_MAX)
		if (other != vma) {
			only = other;
			others++;
		}
	if (others == 1 && wasm_may_store(only)) {
		pair = alloc_pair();
		error = pair ? publish(only, only->vm_pgoff, last_index(only), pair) : -ENOMEM;
		free_pair(pair);
	}
	i_mmap_unlock_read(mapping);
	return error;
}

/*
 * Fills a mapping of the current process, whose U is bound, from its file. The
 * mapping follows the file from then on.
 *
 * It is in the i_mmap before the stores of an area that was alone are looked
 * for. The other way round, that program could store and make a system call in
 * between: it would find itself alone and publish nothing, and the new mapping
 * would miss the store.
 */
int wasm_link_area(struct vm_area_struct *vma)
{
	struct address_space *mapping = area_mapping(vma);
	int error;

	wasm_lock_contents(mapping);
	if (wasm_is_on_disk(mapping))
		vma->vm_private_data = (void *)jiffies;
	i_mmap_lock_write(mapping);
	insert_area(vma);
	i_mmap_unlock_write(mapping);
	/* Pairs with the atomic operation by which a system call begins. */
	smp_mb();
	error = publish_formerly_alone(vma);
	if (!error)
		error = fill_area(vma);
	if (error)
		wasm_unlink_area(vma);
	wasm_unlock_contents(mapping);
	return error;
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
 * An atomic operation in a file that has a name, and at most this many pages,
 * first publishes what all programs have stored there.
 *
 * Elsewhere an atomic operation is a barrier: who finds his lock free sees what
 * others have stored. LMDB's readers enter themselves in a table without a
 * system call, and its writers look for them once they have the lock. A writer
 * that missed one would use the pages again that the reader still reads. With
 * 2,000 readers that table has 32 pages.
 *
 * In other files a program sees only what others have stored before their last
 * system call. Memory without a name is for one family of processes, which may
 * be hundreds that compute: each operation would read the copies of all.
 */
#define LOCK_TABLE_PAGES	64

static bool may_be_lock_table(const struct inode *inode)
{
	return inode->i_nlink && i_size_read(inode) <= LOCK_TABLE_PAGES << PAGE_SHIFT;
}

/* Publishes what must be seen before word @index of a page is changed. */
static int publish_before_change(struct vm_area_struct *vma, pgoff_t index, struct page_pair *pair)
{
	struct address_space *mapping = area_mapping(vma);

	if (may_be_lock_table(mapping->host))
		return wasm_publish_all(mapping, 0, ULONG_MAX);
	return publish(vma, index, index, pair);
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
	wasm_lock_contents(mapping);
	i_mmap_lock_read(mapping);
	error = publish_before_change(vma, index, pair);
	if (!error)
		error = wasm_change_word(change);
	if (!error)
		error = publish(vma, index, index, pair);
	i_mmap_unlock_read(mapping);
	wasm_unlock_contents(mapping);
	free_pair(pair);
	return error;
}
