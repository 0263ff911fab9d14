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
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
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
#define OPTIONS "errors=remount-ro,commit=2,no_prefetch_block_bitmaps"
static const char lasting[] = OPTIONS ",noinit_itable";
/* With noinit_itable, growing itself would write these zeros. */
static const char growing[] = OPTIONS ",init_itable";

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
	uint64_t size, blocks;
	int read_only;
	if (ioctl(disk, BLKROGET, &read_only) || ioctl(disk, BLKGETSIZE64, &size)) return strerror(errno);
	ssize_t n = pread(disk, superblock, sizeof superblock, 1024);
	if (n < 0) return strerror(errno);
	if (n != sizeof superblock || field16(superblock, MAGIC) != 0xef53 || field32(superblock, SIZE_EXPONENT) > 6)
		return "it has no ext4 file system";
	if (!(field32(superblock, COMPATIBLE) & HAS_JOURNAL)) return "its file system has no journal";
	if (read_only) return "it is read-only";
	unsigned int shift = 10 + field32(superblock, SIZE_EXPONENT);
	blocks = field32(superblock, BLOCKS_LOW);
	if (field32(superblock, INCOMPATIBLE) & HAS_64_BIT) blocks |= (uint64_t)field32(superblock, BLOCKS_HIGH) << 32;
	home->is_template = memcmp(superblock + UUID, template_uuid, sizeof template_uuid) == 0;
	home->has_errors = (field16(superblock, STATE) & HAS_ERRORS) != 0;
	home->grow_to = size >> shift > blocks ? size >> shift : 0;
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

/* A disk that does not grow is as good as it was. */
static void grow(int top, const char *where, uint64_t blocks)
{
	if (ioctl(top, EXT4_IOC_RESIZE_FS, &blocks)) complain("disk home: cannot make its file system larger");
	if (mount(NULL, where, NULL, MS_REMOUNT | MS_NOATIME, lasting)) complain("disk home");
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

/*
 * Mounts the file system at @where; returns a descriptor of its top, or -1 if
 * there is no disk, or none that can be used.
 */
static int mount_home_disk(const char *where)
{
	struct home home;
	char device[DEVICE_NAME];
	int disk = open(DISK, O_RDONLY | O_CLOEXEC);
	if (disk < 0) {
		if (errno != ENOENT) refuse(strerror(errno));
		return -1;
	}
	const char *reason = look(disk, &home);
	close(disk);
	if (!reason) {
		device_of(DISK, device);
		if (mount(device, where, "ext4", MS_NOATIME, home.grow_to ? growing : lasting)) {
			/* ext4's "corrupted" and "bad CRC" are two. */
			int damaged = errno == EUCLEAN || errno == EBADMSG || errno == EINVAL;
			reason = damaged ? "its file system is damaged (e2fsck can repair its image)" : strerror(errno);
		}
	}
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
	if (home.grow_to) grow(top, where, home.grow_to);
	return top;
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
