/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tmpfs without an MMU. It stands in for fs/ramfs, which mm/shmem.c makes its tmpfs of there: the names of
 * <linux/ramfs.h> are defined here. Its files are the page cache and nothing else.
 */
#ifndef _WASM_TMPFS_H
#define _WASM_TMPFS_H

#include <linux/atomic.h>
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/ramfs.h>
#include <linux/xattr.h>

/* A mount. Limits are counts of pages and of inodes; 0 means as many as memory holds. */
struct tmpfs_sb {
	unsigned long max_pages;
	unsigned long max_inodes;
	atomic_long_t pages;
	atomic_long_t inodes;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	umode_t default_mode;
};

struct tmpfs_inode {
	struct inode vfs_inode;
	struct simple_xattrs xattrs;
	/* Of those that any user may set; under the i_rwsem. */
	unsigned int user_xattrs;
	size_t user_xattr_bytes;
	/* How many of the mount's pages are this file's; under i_lock. */
	unsigned long charged;
};

static inline struct tmpfs_sb *tmpfs_sb(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct tmpfs_inode *tmpfs_inode(struct inode *inode)
{
	return container_of(inode, struct tmpfs_inode, vfs_inode);
}

/* Seals of memfd_create() lie where a file's inode has nothing else: mm/memfd.c. */
static inline unsigned int tmpfs_seals(const struct inode *inode)
{
	return (unsigned long)inode->i_private;
}

bool tmpfs_memory_is_low(void);
void tmpfs_uncharge_removed(struct inode *inode);

extern const struct export_operations tmpfs_export_operations;
extern const struct xattr_handler * const tmpfs_xattr_handlers[];
extern const struct inode_operations tmpfs_file_inode_operations;
extern const struct address_space_operations tmpfs_aops;
ssize_t tmpfs_listxattr(struct dentry *dentry, char *buffer, size_t size);

#endif
