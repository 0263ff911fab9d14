// SPDX-License-Identifier: GPL-2.0-only
/* Inodes and names of tmpfs, extended attributes, and file handles. */
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <uapi/linux/fcntl.h>
#include "tmpfs.h"

/*
 * Limits of the attributes that any user may set, as in kernfs. Without them
 * any user could fill the kernel's memory. Only root can set the other kinds.
 */
#define MOST_USER_XATTRS	128
#define MOST_USER_XATTR_BYTES	(128 << 10)

static int get_xattr(const struct xattr_handler *handler, struct dentry *dentry,
		     struct inode *inode, const char *name, void *buffer, size_t size)
{
	return simple_xattr_get(&tmpfs_inode(inode)->xattrs, xattr_full_name(handler, name),
				buffer, size);
}

static int set_xattr(const struct xattr_handler *handler, struct mnt_idmap *idmap,
		     struct dentry *dentry, struct inode *inode, const char *name,
		     const void *value, size_t size, int flags)
{
	struct simple_xattr *old;

	if (value && tmpfs_memory_is_low())
		return -ENOSPC;
	old = simple_xattr_set(&tmpfs_inode(inode)->xattrs, xattr_full_name(handler, name),
			       value, size, flags);
	if (IS_ERR(old))
		return PTR_ERR(old);
	simple_xattr_free(old);
	inode_set_ctime_current(inode);
	return 0;
}

static int set_user_xattr(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			  struct dentry *dentry, struct inode *inode, const char *name,
			  const void *value, size_t size, int flags)
{
	struct tmpfs_inode *info = tmpfs_inode(inode);
	int old_size = get_xattr(handler, dentry, inode, name, NULL, 0);
	unsigned int count = info->user_xattrs - (old_size >= 0) + !!value;
	size_t bytes = info->user_xattr_bytes - max(old_size, 0) + (value ? size : 0);
	int error;

	if (value && (count > MOST_USER_XATTRS || bytes > MOST_USER_XATTR_BYTES))
		return -ENOSPC;
	error = set_xattr(handler, idmap, dentry, inode, name, value, size, flags);
	if (!error) {
		info->user_xattrs = count;
		info->user_xattr_bytes = bytes;
	}
	return error;
}

static const struct xattr_handler user_handler = {
	.prefix	= XATTR_USER_PREFIX,
	.get	= get_xattr,
	.set	= set_user_xattr,
};

static const struct xattr_handler trusted_handler = {
	.prefix	= XATTR_TRUSTED_PREFIX,
	.get	= get_xattr,
	.set	= set_xattr,
};

static const struct xattr_handler security_handler = {
	.prefix	= XATTR_SECURITY_PREFIX,
	.get	= get_xattr,
	.set	= set_xattr,
};

const struct xattr_handler * const tmpfs_xattr_handlers[] = {
	&user_handler,
	&trusted_handler,
	&security_handler,
	NULL
};

ssize_t tmpfs_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);

	return simple_xattr_list(inode, &tmpfs_inode(inode)->xattrs, buffer, size);
}

static const struct inode_operations tmpfs_dir_inode_operations;

static const struct inode_operations tmpfs_symlink_inode_operations = {
	.get_link	= simple_get_link,
	.getattr	= simple_getattr,
	.listxattr	= tmpfs_listxattr,
};

static const struct inode_operations tmpfs_special_inode_operations = {
	.getattr	= simple_getattr,
	.listxattr	= tmpfs_listxattr,
};

/*
 * Makes an inode. Returns NULL if there is no room for one more. The caller
 * sets the target of a symbolic link.
 */
struct inode *ramfs_get_inode(struct super_block *sb, const struct inode *dir, umode_t mode,
			      dev_t dev)
{
	struct tmpfs_sb *info = tmpfs_sb(sb);
	struct inode *inode = NULL;

	if (tmpfs_memory_is_low())
		return NULL;
	/*
	 * A task that is refused counts one too many for a moment. Another task
	 * may be refused because of that.
	 */
	if (atomic_long_inc_return(&info->inodes) <= (info->max_inodes ?: LONG_MAX))
		inode = new_inode(sb);
	if (!inode) {
		atomic_long_dec(&info->inodes);
		return NULL;
	}

	inode->i_ino = get_next_ino();
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(inode->i_mapping);
	simple_inode_init_ts(inode);

	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &tmpfs_file_inode_operations;
		inode->i_fop = &ramfs_file_operations;
		inode->i_mapping->a_ops = &tmpfs_aops;
		inode->i_private = (void *)F_SEAL_SEAL;
		break;
	case S_IFDIR:
		inode->i_op = &tmpfs_dir_inode_operations;
		inode->i_fop = &simple_dir_operations;
		/* The entry "." of the directory is a link to it. */
		inc_nlink(inode);
		break;
	case S_IFLNK:
		inode->i_op = &tmpfs_symlink_inode_operations;
		break;
	default:
		inode->i_op = &tmpfs_special_inode_operations;
		init_special_inode(inode, mode, dev);
		break;
	}
	return inode;
}

static struct inode *new_member(struct inode *dir, const struct qstr *name, umode_t mode, dev_t dev)
{
	struct inode *inode = ramfs_get_inode(dir->i_sb, dir, mode, dev);
	int error;

	if (!inode)
		return ERR_PTR(-ENOSPC);
	error = security_inode_init_security(inode, dir, name, NULL, NULL);
	if (error && error != -EOPNOTSUPP) {
		iput(inode);
		return ERR_PTR(error);
	}
	return inode;
}

static void enter(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	/* The name exists only in the dentry cache, so it must stay there. */
	dget(dentry);
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
}

static int tmpfs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       umode_t mode, dev_t dev)
{
	struct inode *inode = new_member(dir, &dentry->d_name, mode, dev);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	enter(dir, dentry, inode);
	return 0;
}

static int tmpfs_mkdir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       umode_t mode)
{
	int error = tmpfs_mknod(idmap, dir, dentry, mode | S_IFDIR, 0);

	if (!error)
		inc_nlink(dir);
	return error;
}

static int tmpfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, bool excl)
{
	return tmpfs_mknod(idmap, dir, dentry, mode | S_IFREG, 0);
}

static int tmpfs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 const char *target)
{
	struct inode *inode = new_member(dir, &dentry->d_name, S_IFLNK | 0777, 0);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	inode->i_link = kstrdup(target, GFP_KERNEL);
	if (!inode->i_link) {
		iput(inode);
		return -ENOMEM;
	}
	inode->i_size = strlen(target);
	enter(dir, dentry, inode);
	return 0;
}

static int tmpfs_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file,
			 umode_t mode)
{
	struct inode *inode = new_member(dir, &file_dentry(file)->d_name, mode, 0);

	if (!IS_ERR(inode))
		d_tmpfile(file, inode);
	return finish_open_simple(file, PTR_ERR_OR_ZERO(inode));
}

/*
 * Makes a whiteout at the place of @dentry. With it overlayfs marks a name that
 * it has removed.
 */
static int leave_whiteout(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)
{
	struct dentry *whiteout = d_alloc(dentry->d_parent, &dentry->d_name);
	int error;

	if (!whiteout)
		return -ENOMEM;
	error = tmpfs_mknod(idmap, dir, whiteout, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV);
	dput(whiteout);
	/*
	 * For a moment the name leads to either of the two, so a lookup sees
	 * the folder as before or as after the renaming.
	 */
	if (!error)
		d_rehash(whiteout);
	return error;
}

static int tmpfs_rename(struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old_dentry,
			struct inode *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	int error;

	if (flags & RENAME_WHITEOUT) {
		if (!simple_empty(new_dentry))
			return -ENOTEMPTY;
		error = leave_whiteout(idmap, old_dir, old_dentry);
		if (error)
			return error;
	}
	return simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry,
			     flags & ~RENAME_WHITEOUT);
}

static const struct inode_operations tmpfs_dir_inode_operations = {
	.create		= tmpfs_create,
	.lookup		= simple_lookup,
	.link		= simple_link,
	.unlink		= simple_unlink,
	.symlink	= tmpfs_symlink,
	.mkdir		= tmpfs_mkdir,
	.rmdir		= simple_rmdir,
	.mknod		= tmpfs_mknod,
	.rename		= tmpfs_rename,
	.tmpfile	= tmpfs_tmpfile,
	.listxattr	= tmpfs_listxattr,
};

/*
 * From the first handle of an inode on, the inode can be found by its number.
 */
static int tmpfs_encode_fh(struct inode *inode, u32 *handle, int *length, struct inode *parent)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	if (inode_unhashed(inode)) {
		inode->i_generation = get_random_u32();
		insert_inode_hash(inode);
	}
	spin_unlock(&lock);
	return generic_encode_ino32_fh(inode, handle, length, NULL);
}

/* Compares the generation too, because numbers come again after 2^32 inodes. */
static int has_identity(struct inode *inode, void *identity)
{
	const struct fid *fid = identity;

	return inode->i_ino == fid->i32.ino && inode->i_generation == fid->i32.gen;
}

static struct dentry *tmpfs_fh_to_dentry(struct super_block *sb, struct fid *fid, int length,
					 int type)
{
	if (type != FILEID_INO32_GEN || length < 2)
		return NULL;
	return d_obtain_alias(ilookup5(sb, fid->i32.ino, has_identity, fid));
}

/*
 * Nobody needs this for a directory that lives: it has a name, and so a parent,
 * in the dentry cache.
 */
static struct dentry *tmpfs_get_parent(struct dentry *child)
{
	return ERR_PTR(-ESTALE);
}

const struct export_operations tmpfs_export_operations = {
	.encode_fh	= tmpfs_encode_fh,
	.fh_to_dentry	= tmpfs_fh_to_dentry,
	.get_parent	= tmpfs_get_parent,
};
