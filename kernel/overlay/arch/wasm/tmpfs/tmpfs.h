/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tmpfs without an MMU. Without one, mm/shmem.c makes its tmpfs of fs/ramfs.
 * This takes the place of fs/ramfs: it defines the names of <linux/ramfs.h>. A
 * file is its page cache and nothing else.
 */
#ifndef _WASM_TMPFS_H
#define _WASM_TMPFS_H

#include <linux/atomic.h>
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/ramfs.h>
#include <linux/xattr.h>

/*
 * A mount. max_pages and max_inodes are its limits. 0 means as many as memory
 * holds.
 */
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
	/*
	 * Number and bytes of the attributes that any user may set. The i_rwsem
	 * guards them.
	 */
	unsigned int user_xattrs;
	size_t user_xattr_bytes;
	/* How many of the mount's pages are this file's. i_lock guards it. */
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

/* i_private of a file holds the seals of memfd_create(): mm/memfd.c. */
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
