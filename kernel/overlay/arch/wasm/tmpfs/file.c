// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of tmpfs: pages, holes, sizes, mappings.
 *
 * A page of a file that is not in its page cache is a hole. Reading a hole does
 * not fill it. A new page is charged to the mount before it is made.
 * tmpfs_uncharge_removed() counts the pages that are left, and so finds how
 * many have gone.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <uapi/linux/fcntl.h>
#include "tmpfs.h"

/*
 * Most zeros of a hole that are read at once. Between two such pieces the
 * reader sees signals.
 */
#define MOST_ZEROS	(1 << 20)

static int charge(struct inode *inode)
{
	struct tmpfs_sb *sb = tmpfs_sb(inode->i_sb);

	if (tmpfs_memory_is_low())
		return -ENOSPC;
	/*
	 * A task that is refused counts one too many for a moment. Another task
	 * may be refused because of that.
	 */
	if (atomic_long_inc_return(&sb->pages) <= (sb->max_pages ?: LONG_MAX))
		return 0;
	atomic_long_dec(&sb->pages);
	return -ENOSPC;
}

/* Counts a charged page that is in the page cache now. */
static void settle(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	tmpfs_inode(inode)->charged++;
	spin_unlock(&inode->i_lock);
}

/*
 * Gives the charge of removed pages back. A page that was added meanwhile may
 * not be settled yet. Then this finds fewer removed pages, and the next call
 * finds the rest.
 */
void tmpfs_uncharge_removed(struct inode *inode)
{
	struct tmpfs_inode *info = tmpfs_inode(inode);
	unsigned long removed = 0;

	spin_lock(&inode->i_lock);
	if (info->charged > inode->i_mapping->nrpages) {
		removed = info->charged - inode->i_mapping->nrpages;
		info->charged -= removed;
	}
	spin_unlock(&inode->i_lock);
	atomic_long_sub(removed, &tmpfs_sb(inode->i_sb)->pages);
}

/*
 * Returns the page at @index, locked and with a reference. A new page is not up
 * to date.
 */
static struct folio *get_page_to_write(struct address_space *mapping, pgoff_t index)
{
	struct inode *inode = mapping->host;
	struct folio *folio = __filemap_get_folio(mapping, index, FGP_LOCK, 0);
	int error;

	if (!IS_ERR(folio))
		return folio;
	error = charge(inode);
	if (error)
		return ERR_PTR(error);
	folio = __filemap_get_folio(mapping, index, FGP_LOCK | FGP_CREAT,
				    mapping_gfp_mask(mapping));
	/* Another task may have made the page meanwhile, and charged it. */
	if (IS_ERR(folio) || folio_test_uptodate(folio))
		atomic_long_dec(&tmpfs_sb(inode->i_sb)->pages);
	else
		settle(inode);
	return folio;
}

static int tmpfs_write_begin(struct file *file, struct address_space *mapping, loff_t pos,
			     unsigned int len, struct folio **foliop, void **fsdata)
{
	unsigned int seals = tmpfs_seals(mapping->host);
	struct folio *folio;

	/*
	 * Without a file, this is a store to a page of a mapping, which
	 * F_SEAL_FUTURE_WRITE allows.
	 */
	if (file && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
		     (seals & F_SEAL_GROW && pos + len > i_size_read(mapping->host))))
		return -EPERM;

	folio = get_page_to_write(mapping, pos >> PAGE_SHIFT);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio_test_uptodate(folio) && len != folio_size(folio)) {
		size_t from = offset_in_folio(folio, pos);

		folio_zero_segments(folio, 0, from, from + len, folio_size(folio));
	}
	*foliop = folio;
	return 0;
}

/* The functions of ram_aops have no names outside of libfs.c. */
static int tmpfs_write_end(struct file *file, struct address_space *mapping, loff_t pos,
			   unsigned int len, unsigned int copied, struct folio *folio,
			   void *fsdata)
{
	return ram_aops.write_end(file, mapping, pos, len, copied, folio, fsdata);
}

/*
 * The page cache fills a hole by this, for example where a page becomes one
 * during a splice(). The page is in the cache already, so it is charged without
 * a limit.
 */
static int tmpfs_read_folio(struct file *file, struct folio *folio)
{
	struct inode *inode = folio->mapping->host;

	atomic_long_inc(&tmpfs_sb(inode->i_sb)->pages);
	settle(inode);
	return ram_aops.read_folio(file, folio);
}

const struct address_space_operations tmpfs_aops = {
	.read_folio	= tmpfs_read_folio,
	.write_begin	= tmpfs_write_begin,
	.write_end	= tmpfs_write_end,
	.dirty_folio	= noop_dirty_folio,
	/*
	 * This lets programs open with O_DIRECT. It is never called, because no
	 * kiocb gets IOCB_DIRECT on this architecture.
	 */
	.direct_IO	= noop_direct_IO,
};

static bool has_holes(struct inode *inode)
{
	return inode->i_mapping->nrpages < DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE);
}

static ssize_t read_piece(struct kiocb *iocb, struct iov_iter *to, loff_t end)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	loff_t pos = iocb->ki_pos, next = mapping_seek_hole_data(mapping, pos, end, SEEK_DATA);
	size_t count = iov_iter_count(to), rest;
	ssize_t result;

	if (next < 0)
		next = end;
	if (next > pos) {
		result = iov_iter_zero(min_t(loff_t, next - pos, MOST_ZEROS), to);
		iocb->ki_pos += result;
		return result ?: -EFAULT;
	}

	next = mapping_seek_hole_data(mapping, pos, end, SEEK_HOLE);
	rest = next > pos && next < end ? end - next : 0;
	iov_iter_truncate(to, count - rest);
	result = filemap_read(iocb, to, 0);
	iov_iter_reexpand(to, iov_iter_count(to) + rest);
	return result;
}

static ssize_t read_with_holes(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t total = 0, result;
	size_t count;

	publish_file_areas(inode->i_mapping, iocb->ki_pos, iov_iter_count(to));
	while ((count = iov_iter_count(to)) != 0) {
		loff_t size = i_size_read(inode);

		if (iocb->ki_pos >= size)
			break;
		if (total && fatal_signal_pending(current))
			break;
		iov_iter_truncate(to, size - iocb->ki_pos);
		count -= iov_iter_count(to);
		result = read_piece(iocb, to, iocb->ki_pos + iov_iter_count(to));
		iov_iter_reexpand(to, iov_iter_count(to) + count);
		if (result <= 0)
			return total ?: result;
		total += result;
		cond_resched();
	}
	file_accessed(iocb->ki_filp);
	return total;
}

static ssize_t tmpfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	if (has_holes(file_inode(iocb->ki_filp)))
		return read_with_holes(iocb, to);
	return generic_file_read_iter(iocb, to);
}

static ssize_t tmpfs_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe,
				 size_t len, unsigned int flags)
{
	if (has_holes(file_inode(in)))
		return copy_splice_read(in, ppos, pipe, len, flags);
	return filemap_splice_read(in, ppos, pipe, len, flags);
}

static loff_t tmpfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	if (offset < 0)
		return -ENXIO;

	publish_file_areas(inode->i_mapping, offset, SIZE_MAX);
	inode_lock(inode);
	offset = mapping_seek_hole_data(inode->i_mapping, offset, inode->i_size, whence);
	if (offset >= 0)
		offset = vfs_setpos(file, offset, MAX_LFS_FILESIZE);
	inode_unlock(inode);
	return offset;
}

static int punch_hole(struct inode *inode, loff_t start, loff_t end)
{
	if (tmpfs_seals(inode) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	truncate_pagecache_range(inode, start, end - 1);
	zero_file_areas(inode->i_mapping, start, min(end, i_size_read(inode)));
	tmpfs_uncharge_removed(inode);
	return 0;
}

static int fill_hole(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = get_page_to_write(mapping, index);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio_test_uptodate(folio)) {
		folio_zero_range(folio, 0, folio_size(folio));
		folio_mark_uptodate(folio);
	}
	folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

static int allocate(struct inode *inode, int mode, loff_t start, loff_t end)
{
	struct tmpfs_sb *sb = tmpfs_sb(inode->i_sb);
	loff_t size = i_size_read(inode);
	pgoff_t index;
	int error;

	if (tmpfs_seals(inode) & F_SEAL_GROW && end > size)
		return -EPERM;
	error = inode_newsize_ok(inode, end);
	if (error)
		return error;
	/* More than this cannot succeed, so do not begin it. */
	if ((u64)(end - start) >> PAGE_SHIFT > (sb->max_pages ?: totalram_pages()))
		return -ENOSPC;

	for (index = start >> PAGE_SHIFT; index <= (end - 1) >> PAGE_SHIFT; index++) {
		error = fatal_signal_pending(current) ? -EINTR : fill_hole(inode->i_mapping, index);
		if (error) {
			truncate_inode_pages(inode->i_mapping,
					     max_t(loff_t, round_up(size, PAGE_SIZE),
						   round_down(start, PAGE_SIZE)));
			tmpfs_uncharge_removed(inode);
			return error;
		}
		cond_resched();
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size)
		i_size_write(inode, end);
	return 0;
}

static long tmpfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int error;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;

	inode_lock(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		error = punch_hole(inode, offset, offset + len);
	else
		error = allocate(inode, mode, offset, offset + len);
	if (!error)
		error = file_modified(file);
	inode_unlock(inode);
	return error;
}

static unsigned int tmpfs_mmap_capabilities(struct file *file)
{
	return NOMMU_MAP_COPY | NOMMU_MAP_READ | NOMMU_MAP_WRITE | NOMMU_MAP_EXEC;
}

/* A mapping is a copy of the file: mm/mmap.c and mm/shared.c make it. */
static int tmpfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &generic_file_vm_ops;
	return 0;
}

int ramfs_nommu_expand_for_mapping(struct inode *inode, size_t size)
{
	i_size_write(inode, size);
	return 0;
}

const struct file_operations ramfs_file_operations = {
	.llseek			= tmpfs_llseek,
	.read_iter		= tmpfs_read_iter,
	.write_iter		= generic_file_write_iter,
	.fsync			= noop_fsync,
	.splice_read		= tmpfs_splice_read,
	.splice_write		= iter_file_splice_write,
	.fallocate		= tmpfs_fallocate,
	.mmap			= tmpfs_mmap,
	.mmap_capabilities	= tmpfs_mmap_capabilities,
};

static int set_size(struct inode *inode, loff_t size)
{
	loff_t old = inode->i_size;

	if ((size < old && tmpfs_seals(inode) & F_SEAL_SHRINK) ||
	    (size > old && tmpfs_seals(inode) & F_SEAL_GROW))
		return -EPERM;
	truncate_setsize(inode, size);
	tmpfs_uncharge_removed(inode);
	return 0;
}

static int tmpfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attributes)
{
	struct inode *inode = d_inode(dentry);
	int error = setattr_prepare(idmap, dentry, attributes);

	if (error)
		return error;
	if (attributes->ia_valid & ATTR_MODE) {
		error = memfd_check_seals_mode(tmpfs_seals(inode), inode->i_mode,
					       attributes->ia_mode);
		if (error)
			return error;
	}
	if (attributes->ia_valid & ATTR_SIZE) {
		error = set_size(inode, attributes->ia_size);
		if (error)
			return error;
		inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	}
	setattr_copy(idmap, inode, attributes);
	return 0;
}

const struct inode_operations tmpfs_file_inode_operations = {
	.setattr	= tmpfs_setattr,
	.getattr	= simple_getattr,
	.listxattr	= tmpfs_listxattr,
};
