// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts of tmpfs: options, limits, statfs. ramfs is the same without limits.
 * It ignores all options but the mode.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/init.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/vmstat.h>
#include "tmpfs.h"

/* Files leave one part in RESERVE of all memory free. */
#define RESERVE		8

#define RAMFS_MODE	0755
#define TMPFS_MODE	01777

static struct kmem_cache *inode_cache;

static unsigned long reserve(void)
{
	return totalram_pages() / RESERVE;
}

/*
 * Returns the pages that are free or can be freed. si_mem_available() would
 * count slabs too, but the names and inodes in them stay.
 */
static unsigned long available(void)
{
	return global_zone_page_state(NR_FREE_PAGES) + global_node_page_state(NR_ACTIVE_FILE) +
	       global_node_page_state(NR_INACTIVE_FILE);
}

/*
 * True if files must not grow, whatever their mount allows. Otherwise they
 * would take all memory. The OOM killer would then kill all programs, and none
 * would give any back, because a U takes no memory of the kernel.
 */
bool tmpfs_memory_is_low(void)
{
	return global_zone_page_state(NR_FREE_PAGES) < reserve() && available() < reserve();
}

/* All mounts share the same memory, so each reports all that is left. */
static int tmpfs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct tmpfs_sb *sb = tmpfs_sb(dentry->d_sb);
	unsigned long left = available();
	unsigned long pages = atomic_long_read(&sb->pages);
	unsigned long inodes = atomic_long_read(&sb->inodes);

	simple_statfs(dentry, buf);
	left = left > reserve() ? left - reserve() : 0;
	buf->f_blocks = sb->max_pages ?: totalram_pages() - reserve();
	buf->f_bfree = sb->max_pages ? min(left, sb->max_pages - min(pages, sb->max_pages)) : left;
	buf->f_bavail = buf->f_bfree;
	/* An inode takes one page at most. */
	buf->f_ffree = sb->max_inodes ? sb->max_inodes - min(inodes, sb->max_inodes) : left;
	buf->f_files = sb->max_inodes ?: inodes + left;
	return 0;
}

static struct inode *tmpfs_alloc_inode(struct super_block *sb)
{
	struct tmpfs_inode *info = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!info)
		return NULL;
	simple_xattrs_init(&info->xattrs);
	info->user_xattrs = 0;
	info->user_xattr_bytes = 0;
	info->charged = 0;
	return &info->vfs_inode;
}

static void tmpfs_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	kmem_cache_free(inode_cache, tmpfs_inode(inode));
}

static void tmpfs_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	tmpfs_uncharge_removed(inode);
	simple_xattrs_free(&tmpfs_inode(inode)->xattrs, NULL);
	clear_inode(inode);
	atomic_long_dec(&tmpfs_sb(inode->i_sb)->inodes);
}

static int tmpfs_show_options(struct seq_file *m, struct dentry *root)
{
	struct tmpfs_sb *sb = tmpfs_sb(root->d_sb);

	if (sb->max_pages)
		seq_printf(m, ",size=%luk", sb->max_pages << (PAGE_SHIFT - 10));
	if (sb->max_inodes)
		seq_printf(m, ",nr_inodes=%lu", sb->max_inodes);
	if (sb->mode != sb->default_mode)
		seq_printf(m, ",mode=%03ho", sb->mode);
	if (!uid_eq(sb->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u", from_kuid_munged(&init_user_ns, sb->uid));
	if (!gid_eq(sb->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u", from_kgid_munged(&init_user_ns, sb->gid));
	return 0;
}

static const struct super_operations tmpfs_super_operations = {
	.alloc_inode	= tmpfs_alloc_inode,
	.free_inode	= tmpfs_free_inode,
	.statfs		= tmpfs_statfs,
	.evict_inode	= tmpfs_evict_inode,
	.drop_inode	= generic_delete_inode,
	.show_options	= tmpfs_show_options,
};

enum tmpfs_param {
	Opt_gid,
	Opt_inode_width,
	Opt_mode,
	Opt_nr_blocks,
	Opt_nr_inodes,
	Opt_noswap,
	Opt_size,
	Opt_uid,
};

/* The options of a mount or a remount. */
struct tmpfs_options {
	struct tmpfs_sb values;
	unsigned long seen;	/* bits of enum tmpfs_param */
	bool ramfs;
};

const struct fs_parameter_spec ramfs_fs_parameters[] = {
	fsparam_gid("gid",		Opt_gid),
	fsparam_flag("inode32",		Opt_inode_width),
	fsparam_flag("inode64",		Opt_inode_width),
	fsparam_u32oct("mode",		Opt_mode),
	fsparam_string("nr_blocks",	Opt_nr_blocks),
	fsparam_string("nr_inodes",	Opt_nr_inodes),
	fsparam_flag("noswap",		Opt_noswap),
	fsparam_string("size",		Opt_size),
	fsparam_uid("uid",		Opt_uid),
	{}
};

/*
 * Reads a number with a suffix of memparse() or, with @percentage, a percentage
 * of all memory. Stores how many times @unit that is.
 */
static int parse_count(const char *text, bool percentage, unsigned long unit, unsigned long *count)
{
	char *rest;
	unsigned long long value = memparse(text, &rest);

	if (rest == text)
		return -EINVAL;
	if (percentage && *rest == '%') {
		value = (u64)totalram_pages() * PAGE_SIZE * min(value, 1ULL << 20);
		do_div(value, 100);
		rest++;
	}
	if (*rest)
		return -EINVAL;
	value = DIV_ROUND_UP_ULL(value, unit);
	if (value > LONG_MAX)
		return -EINVAL;
	*count = value;
	return 0;
}

static int tmpfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct tmpfs_options *options = fc->fs_private;
	struct tmpfs_sb *values = &options->values;
	struct fs_parse_result result;
	int error = 0, option;

	if (options->ramfs && strcmp(param->key, "mode") != 0 && strcmp(param->key, "source") != 0)
		return 0;
	option = fs_parse(fc, ramfs_fs_parameters, param, &result);
	if (option == -ENOPARAM)
		return vfs_parse_fs_param_source(fc, param);
	if (option < 0)
		return option;

	switch (option) {
	case Opt_mode:
		values->mode = result.uint_32 & 07777;
		break;
	case Opt_uid:
		if (!kuid_has_mapping(fc->user_ns, result.uid))
			error = -EINVAL;
		values->uid = result.uid;
		break;
	case Opt_gid:
		if (!kgid_has_mapping(fc->user_ns, result.gid))
			error = -EINVAL;
		values->gid = result.gid;
		break;
	case Opt_size:
		error = parse_count(param->string, true, PAGE_SIZE, &values->max_pages);
		break;
	case Opt_nr_blocks:
		error = parse_count(param->string, false, 1, &values->max_pages);
		option = Opt_size;
		break;
	case Opt_nr_inodes:
		error = parse_count(param->string, false, 1, &values->max_inodes);
		break;
	/* No page is swapped, and no inode number needs 64 bits. */
	case Opt_noswap:
	case Opt_inode_width:
		break;
	}
	if (error)
		return invalfc(fc, "Bad value for '%s'", param->key);
	options->seen |= BIT(option);
	return 0;
}

static int tmpfs_reconfigure(struct fs_context *fc)
{
	struct tmpfs_options *options = fc->fs_private;
	struct tmpfs_sb *sb = tmpfs_sb(fc->root->d_sb);
	struct tmpfs_sb *values = &options->values;

	if (options->seen & BIT(Opt_size) && values->max_pages &&
	    values->max_pages < atomic_long_read(&sb->pages))
		return invalfc(fc, "Too small a size for current use");
	if (options->seen & BIT(Opt_nr_inodes) && values->max_inodes &&
	    values->max_inodes < atomic_long_read(&sb->inodes))
		return invalfc(fc, "Too few inodes for current use");
	if (options->seen & BIT(Opt_size))
		sb->max_pages = values->max_pages;
	if (options->seen & BIT(Opt_nr_inodes))
		sb->max_inodes = values->max_inodes;
	return 0;
}

static int tmpfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct tmpfs_options *options = fc->fs_private;
	struct inode *root;

	sb->s_fs_info = kmemdup(&options->values, sizeof(options->values), GFP_KERNEL);
	if (!sb->s_fs_info)
		return -ENOMEM;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = options->ramfs ? RAMFS_MAGIC : TMPFS_MAGIC;
	sb->s_op = &tmpfs_super_operations;
	sb->s_xattr = tmpfs_xattr_handlers;
	sb->s_export_op = &tmpfs_export_operations;
	sb->s_time_gran = 1;
	/*
	 * Writes look for file capabilities once for each inode, not each time.
	 */
	sb->s_flags |= SB_NOSEC;

	root = ramfs_get_inode(sb, NULL, S_IFDIR | options->values.mode, 0);
	if (root) {
		root->i_uid = options->values.uid;
		root->i_gid = options->values.gid;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int tmpfs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, tmpfs_fill_super);
}

static void tmpfs_free_fc(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations tmpfs_context_operations = {
	.free		= tmpfs_free_fc,
	.parse_param	= tmpfs_parse_param,
	.get_tree	= tmpfs_get_tree,
	.reconfigure	= tmpfs_reconfigure,
};

static void init_once(void *info)
{
	inode_init_once(&((struct tmpfs_inode *)info)->vfs_inode);
}

int ramfs_init_fs_context(struct fs_context *fc)
{
	struct tmpfs_options *options;

	/*
	 * The kernel's own mount comes first. That is long before initcalls,
	 * and nothing can race with it.
	 */
	if (!inode_cache)
		inode_cache = kmem_cache_create("tmpfs_inode_cache", sizeof(struct tmpfs_inode), 0,
						SLAB_PANIC | SLAB_ACCOUNT, init_once);

	options = kzalloc(sizeof(*options), GFP_KERNEL);
	if (!options)
		return -ENOMEM;
	options->ramfs = strcmp(fc->fs_type->name, "tmpfs") != 0;
	options->values.default_mode = options->ramfs ? RAMFS_MODE : TMPFS_MODE;
	options->values.mode = options->values.default_mode;
	options->values.uid = current_fsuid();
	options->values.gid = current_fsgid();
	fc->fs_private = options;
	fc->ops = &tmpfs_context_operations;
	return 0;
}

void ramfs_kill_sb(struct super_block *sb)
{
	struct tmpfs_sb *info = tmpfs_sb(sb);

	kill_litter_super(sb);
	kfree(info);
}

static struct file_system_type ramfs_type = {
	.name		= "ramfs",
	.init_fs_context = ramfs_init_fs_context,
	.parameters	= ramfs_fs_parameters,
	.kill_sb	= ramfs_kill_sb,
	.fs_flags	= FS_USERNS_MOUNT,
};

static int __init register_ramfs(void)
{
	return register_filesystem(&ramfs_type);
}
fs_initcall(register_ramfs);
