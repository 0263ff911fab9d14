// SPDX-License-Identifier: MIT
// The disk whose name is "home" keeps /home and /root.
//
// They are two folders of its file system, so that neither lost+found nor the
// other one is among a user's files. A disk that cannot be used gets a line on
// the console, and /home and /root stay in memory.
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ext4.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sysinit.h"

#define DISK DISK_BY_NAME "home"

/*
 * Where the whole file system is mounted, until its two folders are where they
 * belong.
 */
#define TOP "/mnt"

/*
 * What is not synced is lost when the page or the computer ends: at most the
 * metadata of so many seconds, and the data of dirty_expire_centisecs.
 *
 * A new disk is all zero, so no thread needs to write zeros to the inode
 * tables, which would take room on the medium. ext4 reads of a table only what
 * it has written.
 */
static const char options[] = "errors=remount-ro,commit=2,no_prefetch_block_bitmaps,noinit_itable";

/* tools/ext4-template: a disk with this UUID was never mounted. */
static const unsigned char template_uuid[16] = {
	0x61, 0x75, 0x6b, 0x6c, 0x65, 0x74, 0x80, 0x00, 0x80, 0x00, 0x74, 0x65, 0x6d, 0x70, 0x6c, 0x74,
};

/* What stays in memory without the disk, for messages. */
static const char *instead = "/home and /root are";

static void refuse(const char *reason)
{
	fprintf(stderr, "sysinit: disk home: %s, so %s only in memory\n", reason, instead);
}

/* A field of @superblock, which is little-endian. */
static uint32_t field32(const unsigned char *superblock, size_t offset)
{
	uint32_t value;
	memcpy(&value, superblock + offset, sizeof value);
	return le32toh(value);
}

static uint16_t field16(const unsigned char *superblock, size_t offset)
{
	uint16_t value;
	memcpy(&value, superblock + offset, sizeof value);
	return le16toh(value);
}

/* What the disk's superblock says. The kernel checks it again. */
struct home {
	int is_template, has_errors;
	uint64_t blocks;
	/* The blocks that the file system should have, or 0 if it has them. */
	uint64_t grow_to;
};

/* Looks at the disk; returns why it cannot be used, or NULL. */
static const char *look(int disk, struct home *home)
{
	/* Linux's struct ext4_super_block, fs/ext4/ext4.h */
	enum { BLOCKS_LOW = 0x04, SIZE_EXPONENT = 0x18, MAGIC = 0x38, STATE = 0x3a, COMPATIBLE = 0x5c, INCOMPATIBLE = 0x60,
	       UUID = 0x68, BLOCKS_HIGH = 0x150 };
	enum { HAS_ERRORS = 2, HAS_JOURNAL = 4, HAS_64_BIT = 0x80 };
	unsigned char superblock[1024];
	uint64_t size;
	int read_only;
	if (ioctl(disk, BLKROGET, &read_only) || ioctl(disk, BLKGETSIZE64, &size)) return strerror(errno);
	ssize_t n = pread(disk, superblock, sizeof superblock, 1024);
	if (n < 0) return strerror(errno);
	if (n != sizeof superblock || field16(superblock, MAGIC) != 0xef53 || field32(superblock, SIZE_EXPONENT) > 6)
		return "it has no ext4 file system";
	if (!(field32(superblock, COMPATIBLE) & HAS_JOURNAL)) return "its file system has no journal";
	if (read_only) return "it is read-only";
	unsigned int shift = 10 + field32(superblock, SIZE_EXPONENT);
	home->blocks = field32(superblock, BLOCKS_LOW);
	if (field32(superblock, INCOMPATIBLE) & HAS_64_BIT) home->blocks |= (uint64_t)field32(superblock, BLOCKS_HIGH) << 32;
	home->is_template = memcmp(superblock + UUID, template_uuid, sizeof template_uuid) == 0;
	home->has_errors = (field16(superblock, STATE) & HAS_ERRORS) != 0;
	home->grow_to = size >> shift > home->blocks ? size >> shift : 0;
	return NULL;
}

static void set_new_uuid(int top)
{
	/* struct fsuuid ends with bytes of which it does not know how many. */
	struct { uint32_t length, flags; unsigned char bytes[16]; } uuid = { .length = sizeof uuid.bytes };
	if (getrandom(uuid.bytes, sizeof uuid.bytes, 0) != sizeof uuid.bytes) return complain("disk home: UUID");
	/* RFC 9562: version 4 */
	uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x40;
	uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
	if (ioctl(top, EXT4_IOC_SETFSUUID, &uuid)) complain("disk home: UUID");
}

/*
 * Sets an option of the file system that is mounted at @top. A remount by
 * mount(2) would need all the others, and a path.
 */
static int set_option(int top, const char *option)
{
	int context = syscall(SYS_fspick, top, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (context < 0) return -1;
	int failed = syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, option, NULL, 0) ||
		     syscall(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	int error = errno;
	close(context);
	errno = error;
	return failed ? -1 : 0;
}

/*
 * A disk that does not grow is as good as it was. With noinit_itable, growing
 * itself would write zeros to the inode tables. The new size does not stay in
 * the journal, see mount_disk().
 */
static int grow(int top, uint64_t blocks)
{
	uint32_t flags = 0;
	int failed = set_option(top, "init_itable") || ioctl(top, EXT4_IOC_RESIZE_FS, &blocks) ||
		     ioctl(top, EXT4_IOC_CHECKPOINT, &flags);
	if (failed) complain("disk home: cannot make its file system larger");
	if (set_option(top, "noinit_itable")) complain("disk home");
	return failed ? -1 : 0;
}

/*
 * Mounts a folder of the disk on @path, which has the folder's name, and moves
 * there what is in @path: what the machine's owner has put there. The folder
 * is made if it is not there. Returns -1 if that failed.
 */
static int mount_folder(int top, const char *path)
{
	char source[sizeof TOP + 16];
	const char *name = path + 1;
	struct stat here, there;
	snprintf(source, sizeof source, TOP "/%s", name);
	/* An image of others may have no such folder. */
	mkdir(path, 0755);
	int old = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), new = -1;
	int failed = old < 0 || fstat(old, &here);
	if (!failed && mkdirat(top, name, 0700) == 0)
		failed = fchownat(top, name, here.st_uid, here.st_gid, AT_SYMLINK_NOFOLLOW) ||
			 fchmodat(top, name, here.st_mode & 07777, 0);
	else if (!failed)
		failed = errno != EEXIST;
	if (!failed && fstatat(top, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(there.st_mode)) {
		errno = ENOTDIR;
		failed = 1;
	}
	if (!failed) failed = mount(source, path, NULL, MS_BIND, NULL);
	if (!failed) {
		new = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (new < 0) complain(path);
		else move_entries(old, new, path, REPLACE);
	}
	int error = errno;
	if (old >= 0) close(old);
	if (new >= 0) close(new);
	errno = error;
	return failed ? -1 : 0;
}

static void set_number(const char *path, const char *number)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, number, strlen(number)) < 0) complain(path);
	if (fd >= 0) close(fd);
}

static const char *mount_once(const char *device, const char *where)
{
	if (mount(device, where, "ext4", MS_NOATIME, options) == 0) return NULL;
	/* ext4's "corrupted" and "bad CRC" are two. */
	int damaged = errno == EUCLEAN || errno == EBADMSG || errno == EINVAL;
	return damaged ? "its file system is damaged (e2fsck can repair its image)" : strerror(errno);
}

/*
 * Mounts the disk; returns why that is impossible, or NULL.
 *
 * ext4 counts its groups before it replays the journal. If the machine ended
 * while the file system grew, the journal makes it larger, and ext4 would find
 * nothing of its new part, and stop the kernel when it grows again. After a
 * second mount the count is right.
 */
static const char *mount_disk(int disk, const char *where, struct home *home)
{
	char device[DEVICE_NAME];
	const char *reason = look(disk, home);
	if (reason) return reason;
	uint64_t blocks = home->blocks;
	device_of(DISK, device);
	reason = mount_once(device, where);
	if (reason) return reason;
	reason = look(disk, home);
	if (!reason && home->blocks == blocks) return NULL;
	if (umount(where)) return strerror(errno);
	return reason ? reason : mount_once(device, where);
}

/*
 * Mounts the file system at @where; returns a descriptor of its top, or -1 if
 * there is no disk, or none that can be used.
 */
static int mount_home_disk(const char *where)
{
	struct home home;
	int disk = open(DISK, O_RDONLY | O_CLOEXEC);
	if (disk < 0) {
		if (errno != ENOENT) refuse(strerror(errno));
		return -1;
	}
	const char *reason = mount_disk(disk, where, &home);
	close(disk);
	if (reason) {
		refuse(reason);
		return -1;
	}
	if (home.has_errors) fputs("sysinit: disk home: its file system has errors (e2fsck can repair its image)\n", stderr);
	int top = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0) {
		refuse(strerror(errno));
		if (umount(where)) complain(where);
		return -1;
	}
	if (home.is_template) set_new_uuid(top);
	if (home.grow_to) grow(top, home.grow_to);
	return top;
}

/*
 * Waits until the disk has @size bytes: the kernel tells of each change of a
 * disk's capacity, and asks the device for it in a thread of its own.
 */
static int wait_for_size(int disk, uint64_t size)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	char event[4096];
	uint64_t now;
	int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int failed = events < 0 || bind(events, (struct sockaddr *)&address, sizeof address);
	while (!failed && !(failed = ioctl(disk, BLKGETSIZE64, &now)) && now < size)
		/* One that was lost is as good as one that has come. */
		failed = recv(events, event, sizeof event, 0) < 0 && errno != ENOBUFS && errno != EINTR;
	int error = errno;
	if (events >= 0) close(events);
	errno = error;
	return failed ? -1 : 0;
}

/*
 * The top of the file system of @device, which is mounted elsewhere: /home is
 * only a folder of it, and in an overlayfs nothing of it is to be seen.
 */
static int open_top(const char *device)
{
	int context = syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC), mounted = -1, top = -1;
	if (context >= 0 && !syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", device, 0) &&
	    !syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mounted = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	if (mounted >= 0) top = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = errno;
	if (mounted >= 0) close(mounted);
	if (context >= 0) close(context);
	errno = error;
	return top;
}

int grow_home(const char *size)
{
	struct home home;
	struct stat status;
	char device[DEVICE_NAME], mark[DEVICE_NAME + 16];
	int disk = open(DISK, O_RDONLY | O_CLOEXEC);
	/* One after the other: ext4 grows once at a time. */
	if (disk < 0 || flock(disk, LOCK_EX) || wait_for_size(disk, strtoull(size, NULL, 10))) {
		complain("disk home");
		return 1;
	}
	device_of(DISK, device);
	snprintf(mark, sizeof mark, "/sys/fs/ext4/%s", device + strlen("/dev/"));
	/* Nobody has mounted it, as sysinit has said at the boot. */
	if (stat(mark, &status)) return 0;
	const char *reason = look(disk, &home);
	if (reason) {
		fprintf(stderr, "sysinit: disk home: %s\n", reason);
		return 1;
	}
	if (!home.grow_to) return 0;
	int top = open_top(device);
	if (top < 0) {
		complain("disk home");
		return 1;
	}
	return grow(top, home.grow_to) ? 1 : 0;
}

int mount_upper_disk(const char *where)
{
	instead = "changes are";
	int top = mount_home_disk(where);
	if (top < 0) return -1;
	close(top);
	return 0;
}

void mount_home(void)
{
	struct stat root, old;
	/* /etc/fstab has put something else there. */
	if (stat("/", &root) == 0 && stat("/home", &old) == 0 && root.st_dev != old.st_dev) return;
	mkdir(TOP, 0755);
	int top = mount_home_disk(TOP);
	if (top < 0) return;
	if (mount_folder(top, "/home")) {
		refuse(strerror(errno));
	} else if (mount_folder(top, "/root")) {
		refuse(strerror(errno));
		if (umount("/home")) complain("/home");
	}
	close(top);
	if (umount(TOP)) complain(TOP);
	set_number("/proc/sys/vm/dirty_expire_centisecs", "200");
	set_number("/proc/sys/vm/dirty_writeback_centisecs", "100");
}
