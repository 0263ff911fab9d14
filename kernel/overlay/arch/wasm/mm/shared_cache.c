// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of files that shared mappings follow (shared.c): which files
 * these are, their pages, their locks, and sync.
 *
 * A file is one of these if its contents pass through the page cache, and
 * change under its i_rwsem only. Of the file systems of this kernel these are
 * tmpfs and ext4, and overlayfs on them, whose mappings are of the real file.
 *
 * The page cache may drop a clean page of a disk although it is mapped. It is
 * read again then, and is what it was: what a program has stored and the cache
 * was told of is dirty until it is written.
 */
#include <linux/backing-dev.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/writeback.h>
#include "internal.h"

/* fs/ext4/ext4.h */
extern const struct file_operations ext4_file_operations;

/* True if the file is on a disk, which must get what is stored. */
bool wasm_is_on_disk(struct address_space *mapping)
{
	return !shmem_mapping(mapping);
}

/* True if a shared mapping of @file follows it. */
bool wasm_file_is_live(const struct file *file)
{
	return shmem_mapping(file->f_mapping) ||
	       (IS_ENABLED(CONFIG_EXT4_FS) &&
		file->f_mapping->host->i_fop == &ext4_file_operations);
}

/* How many bytes of page @index belong to the file. */
unsigned int wasm_bytes_of_page(const struct inode *inode, pgoff_t index)
{
	return clamp_t(loff_t, i_size_read(inode) - ((loff_t)index << PAGE_SHIFT), 0, PAGE_SIZE);
}

static const u8 *page_of_folio(struct folio *folio, pgoff_t index)
{
	return (u8 *)folio_address(folio) + offset_in_folio(folio, (loff_t)index << PAGE_SHIFT);
}

static const u8 *read_from_disk(struct file *file, struct address_space *mapping, pgoff_t index,
				struct folio **folio)
{
	if (file)
		page_cache_sync_readahead(mapping, &file->f_ra, file, index,
					  DIV_ROUND_UP_ULL(i_size_read(mapping->host), PAGE_SIZE) -
						  index);
	*folio = read_mapping_folio(mapping, index, NULL);
	return IS_ERR(*folio) ? ERR_CAST(*folio) : page_of_folio(*folio, index);
}

/*
 * Returns a page of the cache, with a reference to *@folio. A hole of tmpfs, or
 * what is behind the end of the file, is a page of zeros and no folio. Reads
 * the page from a disk, and those behind it if @file is given: the result may
 * be an ERR_PTR. The i_rwsem is locked.
 */
const u8 *wasm_get_cached(struct file *file, struct address_space *mapping, pgoff_t index,
			  struct folio **folio)
{
	*folio = filemap_get_folio(mapping, index);
	if (!IS_ERR(*folio)) {
		if (folio_test_uptodate(*folio)) {
			folio_mark_accessed(*folio);
			return page_of_folio(*folio, index);
		}
		/*
		 * A reader, who needs no i_rwsem, has just made this page. In
		 * tmpfs it is a hole.
		 */
		folio_put(*folio);
	}
	if (wasm_is_on_disk(mapping) && wasm_bytes_of_page(mapping->host, index))
		return read_from_disk(file, mapping, index, folio);
	*folio = NULL;
	return empty_zero_page;
}

void wasm_put_cached(struct folio *folio)
{
	if (folio)
		folio_put(folio);
}

/*
 * Writes to one page of the cache. The file system makes the page dirty, and
 * finds room for it on the disk. The i_rwsem is locked.
 */
int wasm_write_cached(struct address_space *mapping, loff_t position, const u8 *from,
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
 * Locks the contents of a file. What is stored there may become dirty then, so
 * this waits while the file system is frozen, as a page fault does elsewhere.
 */
void wasm_lock_contents(struct address_space *mapping)
{
	sb_start_pagefault(mapping->host->i_sb);
	inode_lock(mapping->host);
}

/* Returns false if the file system is frozen. */
bool wasm_try_lock_contents(struct address_space *mapping)
{
	if (!__sb_start_write_trylock(mapping->host->i_sb, SB_FREEZE_PAGEFAULT))
		return false;
	inode_lock(mapping->host);
	return true;
}

void wasm_unlock_contents(struct address_space *mapping)
{
	inode_unlock(mapping->host);
	sb_end_pagefault(mapping->host->i_sb);
	/* Who makes many pages dirty waits for the disk. */
	if (mapping_can_writeback(mapping))
		balance_dirty_pages_ratelimited(mapping);
}
