// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the page cache and file systems tell of the files that shared mappings
 * follow (shared.c): they are read, written, cut off, moved or synced. Patches
 * of mm/filemap.c, mm/truncate.c, fs/sync.c and ext4 call these functions.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <asm/file_areas.h>
#include "internal.h"

/*
 * Before @count bytes of the file are read or synced. SIZE_MAX is all that
 * follow.
 */
void publish_file_areas(struct address_space *mapping, loff_t start, size_t count)
{
	loff_t end = count == SIZE_MAX ? MAX_LFS_FILESIZE : start + count;

	if (start >= end || !mapping_writably_mapped(mapping))
		return;
	/*
	 * While the file system is frozen, a reader does not wait. Elsewhere
	 * the stores would wait.
	 */
	if (!wasm_try_lock_contents(mapping))
		return;
	wasm_publish_unseen(mapping, start >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT);
	wasm_unlock_contents(mapping);
}

int publish_file_areas_locked(struct address_space *mapping)
{
	int error;

	if (!mapping_writably_mapped(mapping))
		return 0;
	i_mmap_lock_read(mapping);
	error = wasm_publish_all(mapping, 0, ULONG_MAX);
	i_mmap_unlock_read(mapping);
	return error;
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
		cached = wasm_get_cached(NULL, mapping, position >> PAGE_SHIFT, &folio);
		/* A page that cannot be read again is an error to its users. */
		if (IS_ERR(cached))
			continue;
		wasm_update_copies(mapping, position >> PAGE_SHIFT, offset, cached + offset, NULL,
				   part, NULL);
		wasm_put_cached(folio);
	}
	i_mmap_unlock_read(mapping);
}

/*
 * Narrows pages [*@first, *@last] of the file to those from the first to the
 * last that is mapped. A file may be much larger than what is mapped of it. The
 * i_mmap is locked.
 */
static void clip_to_areas(struct address_space *mapping, pgoff_t *first, pgoff_t *last)
{
	pgoff_t lowest = ULONG_MAX, highest = 0;
	struct vm_area_struct *vma;

	vma_interval_tree_foreach(vma, &mapping->i_mmap, *first, *last) {
		lowest = min(lowest, vma->vm_pgoff);
		highest = max(highest, last_index(vma));
	}
	*first = max(*first, lowest);
	*last = min(*last, highest);
}

/*
 * Bytes [@start, @end) of the file were cut off, or became a hole. They are
 * zero, also if the file grows again. The i_rwsem is locked.
 */
void zero_file_areas(struct address_space *mapping, loff_t start, loff_t end)
{
	pgoff_t first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT, index;
	pgoff_t final = last;

	if (start >= end || !mapping_mapped(mapping))
		return;
	i_mmap_lock_read(mapping);
	index = first;
	clip_to_areas(mapping, &index, &final);
	for (; index <= final; index++) {
		unsigned int from = index == first ? offset_in_page(start) : 0;
		unsigned int to = index == last ? offset_in_page(end - 1) + 1 : PAGE_SIZE;

		wasm_update_copies(mapping, index, from, empty_zero_page, NULL, to - from, NULL);
		cond_resched();
	}
	i_mmap_unlock_read(mapping);
}

void reread_file_areas(struct address_space *mapping, loff_t start)
{
	pgoff_t index = start >> PAGE_SHIFT, last = ULONG_MAX;
	struct folio *folio;
	const u8 *cached;

	if (!mapping_mapped(mapping))
		return;
	i_mmap_lock_read(mapping);
	clip_to_areas(mapping, &index, &last);
	for (; index <= last; index++) {
		cached = wasm_get_cached(NULL, mapping, index, &folio);
		if (IS_ERR(cached))
			continue;
		wasm_update_copies(mapping, index, 0, cached, NULL, PAGE_SIZE, NULL);
		wasm_put_cached(folio);
		cond_resched();
	}
	i_mmap_unlock_read(mapping);
}

void publish_super_areas(struct super_block *sb)
{
	struct inode *inode, *previous = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if (inode->i_state & (I_FREEING | I_WILL_FREE | I_NEW) ||
		    !mapping_writably_mapped(inode->i_mapping)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		spin_unlock(&sb->s_inode_list_lock);
		publish_file_areas(inode->i_mapping, 0, SIZE_MAX);
		iput(previous);
		previous = inode;
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(previous);
}
