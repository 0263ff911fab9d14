// SPDX-License-Identifier: MIT
// Makes the root file system of a machine whose owner has given one: an
// overlayfs of the squashfs on the disk "root", and of a folder on the disk
// "home", or in memory.
//
// sysinit does this as the first process. Then it executes the init of that
// file system, which finds a machine as if it had booted from it: nothing else
// is mounted, and the root image's files are gone.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sysinit.h"

#define DISK DISK_BY_NAME "root"
#define LOWER "/lower"
#define CHANGES "/changes"
#define NEW "/new"

/* web/src/api/root.ts: what the machine's owner has put there. */
#define OWNERS_FILES ".owner"

/*
 * On the disk "home", beside its folders home and root. The two must be on one
 * file system.
 */
#define OVERLAY CHANGES "/overlay"
#define UPPER OVERLAY "/upper"
#define WORK OVERLAY "/work"

static int make_folder(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -1 : 0;
}

static int mount_overlay(void)
{
	static const char options[] = "lowerdir=" LOWER ",upperdir=" UPPER ",workdir=" WORK;
	if (make_folder(OVERLAY) || make_folder(UPPER) || make_folder(WORK)) return -1;
	return mount("overlay", NEW, "overlay", 0, options);
}

/*
 * Mounts the new root file system at NEW, and nothing else. Returns -1 if there
 * is none.
 */
static int make_root(void)
{
	char device[DEVICE_NAME];
	device_of(DISK, device);
	if (make_folder(LOWER) || make_folder(CHANGES) || make_folder(NEW)) {
		complain("disk root");
		return -1;
	}
	if (mount(device, LOWER, "squashfs", MS_RDONLY, NULL)) {
		complain("disk root: it cannot be the root file system");
		return -1;
	}
	int failed = -1;
	if (mount_upper_disk(CHANGES) == 0) {
		failed = mount_overlay();
		if (failed) complain("disk home: changes are only in memory");
		/* The overlay has mounts of its own of both. */
		if (umount(CHANGES)) complain(CHANGES);
	}
	if (failed) {
		failed = mount("tmpfs", CHANGES, "tmpfs", 0, "mode=755") || mount_overlay();
		if (failed) complain("disk root");
		umount(CHANGES);
	}
	if (umount(LOWER)) complain(LOWER);
	return failed ? -1 : 0;
}

/* The links on their way are those of the new root. */
static void move_owners_files(int from)
{
	int to = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0) return complain("/");
	move_entries(from, to, "", REPLACE);
	close(to);
}

/*
 * Removes what is in a folder, but not what is mounted there. It takes memory
 * that nobody can use any more.
 */
static void remove_entries(int folder, dev_t device)
{
	DIR *entries = fdopendir(folder);
	if (!entries) {
		close(folder);
		return;
	}
	for (struct dirent *entry; (entry = readdir(entries));) {
		struct stat status;
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, OWNERS_FILES) == 0) continue;
		if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) || status.st_dev != device) continue;
		if (S_ISDIR(status.st_mode)) {
			int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (below >= 0) remove_entries(below, device);
		}
		unlinkat(folder, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
	}
	closedir(entries);
}

static int move_to(const char *new_root)
{
	struct stat old;
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (chdir(new_root)) return -1;
	if (top >= 0 && fstat(top, &old) == 0) remove_entries(top, old.st_dev);
	return mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/") ? -1 : 0;
}

int start_root(void)
{
	static char *const inits[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755")) complain("/dev");
	if (mount("sysfs", "/sys", "sysfs", 0, NULL)) complain("/sys");
	link_disks();
	int owners_files = open("/" OWNERS_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int made = make_root() == 0;
	if (umount("/sys")) complain("/sys");
	if (umount("/dev")) complain("/dev");
	if (made && move_to(NEW)) complain(NEW);
	if (owners_files >= 0) move_owners_files(owners_files);
	for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
		execl(inits[i], inits[i], (char *)0);
		if (errno != ENOENT) complain(inits[i]);
	}
	fputs("sysinit: the root file system has no init\n", stderr);
	return 1;
}
