// SPDX-License-Identifier: MIT
// Moves files from one file system to another.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sysinit.h"

/*
 * The moved files that have several names. Each further name of one becomes a
 * link to it.
 */
struct moved {
	struct moved *next;
	ino_t inode;
	char *path;
};
static struct moved *moved;

/*
 * Moves the content of a file from its end to its start, and makes the old file
 * shorter on the way. The memory has no room for a second copy of a file that
 * takes half of it.
 */
static int move_content(int in, int out, off_t size)
{
	static char piece[65536];
	while (size > 0) {
		size_t length = size % sizeof piece ? size % sizeof piece : sizeof piece, done = 0;
		size -= length;
		while (done < length) {
			ssize_t n = pread(in, piece + done, length - done, size + done);
			if (n == 0) errno = EIO;
			if (n <= 0) return -1;
			done += n;
		}
		for (done = 0; done < length;) {
			ssize_t n = pwrite(out, piece + done, length - done, size + done);
			if (n < 0) return -1;
			done += n;
		}
		if (ftruncate(in, size)) return -1;
	}
	return 0;
}

/* @path is what the file is called in the end, and @new_name at first. */
static int move_file(int from, int to, const char *name, const char *new_name, const char *path,
		     const struct stat *status)
{
	for (struct moved *old = moved; old; old = old->next)
		if (old->inode == status->st_ino) return linkat(AT_FDCWD, old->path, to, new_name, 0);

	int in = openat(from, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int out = in < 0 ? -1 : openat(to, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int failed = out < 0 || move_content(in, out, status->st_size);
	if (in >= 0) close(in);
	if (out >= 0) close(out);
	if (!failed && status->st_nlink > 1) {
		struct moved *new = malloc(sizeof *new);
		if (!new || !(new->path = strdup(path))) return -1;
		new->inode = status->st_ino;
		new->next = moved;
		moved = new;
	}
	return failed;
}

static int move_link(int from, int to, const char *name, const char *new_name)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from, name, target, sizeof target - 1);
	if (length < 0) return -1;
	target[length] = '\0';
	return symlinkat(target, to, new_name);
}

/*
 * Makes @new_name in the folder @to what @name is in @from, which is no folder.
 * Returns -1 if that failed.
 */
static int move_other(int from, int to, const char *name, const char *new_name, const char *path,
		      const struct stat *status)
{
	if (S_ISREG(status->st_mode)) {
		if (move_file(from, to, name, new_name, path, status)) return -1;
	} else if (S_ISLNK(status->st_mode)) {
		if (move_link(from, to, name, new_name)) return -1;
	} else if (mknodat(to, new_name, status->st_mode, status->st_rdev)) {
		return -1;
	}
	return 0;
}

/* Returns -1 if that failed. */
static int set_attributes(int folder, const char *name, const struct stat *status)
{
	struct timespec times[] = { status->st_atim, status->st_mtim };
	if (fchownat(folder, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW)) return -1;
	/*
	 * A change of the owner takes the set-user-ID bit away, so this
	 * follows.
	 */
	if (!S_ISLNK(status->st_mode) && fchmodat(folder, name, status->st_mode & 07777, 0)) return -1;
	utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* What replaces a file has this name until it is whole. */
static const char unfinished[] = ".auklet-unfinished";

static int replace(int from, int to, const char *name, const char *path, const struct stat *status)
{
	if (unlinkat(to, unfinished, 0) && errno != ENOENT) return -1;
	if (move_other(from, to, name, unfinished, path, status) == 0 && set_attributes(to, unfinished, status) == 0 &&
	    renameat(to, unfinished, to, name) == 0)
		/* A rename does nothing where both are names of one file. */
		return unlinkat(to, unfinished, 0) && errno != ENOENT ? -1 : 0;
	int error = errno;
	unlinkat(to, unfinished, 0);
	errno = error;
	return -1;
}

/*
 * Moves one entry of a folder, with its owner, mode and times. Returns -1 if
 * that failed.
 */
static int move_entry(int from, int to, const char *name, const char *path, enum existing existing)
{
	struct stat status, there;
	int folder_was_there = 0;
	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW)) return -1;
	if (fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		/*
		 * This is the same device. The image has it for the time before
		 * devtmpfs.
		 */
		if ((S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) && there.st_rdev == status.st_rdev) return 0;
		/* /bin may be a link to usr/bin where files are moved to. */
		if (existing == REPLACE && S_ISDIR(status.st_mode) && S_ISLNK(there.st_mode))
			fstatat(to, name, &there, 0);
		folder_was_there = S_ISDIR(status.st_mode) && S_ISDIR(there.st_mode);
		errno = EEXIST;
		if (!folder_was_there && (existing == KEEP || S_ISDIR(status.st_mode) || S_ISDIR(there.st_mode))) return -1;
	}
	if (S_ISDIR(status.st_mode)) {
		if (!folder_was_there && mkdirat(to, name, 0700)) return -1;
		int old = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int follow = folder_was_there ? 0 : O_NOFOLLOW;
		int new = old < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | follow | O_CLOEXEC);
		if (new >= 0) move_entries(old, new, path, existing);
		if (old >= 0) close(old);
		if (new < 0) return -1;
		close(new);
		if (folder_was_there) return 0;
		if (set_attributes(to, name, &status)) return -1;
	} else if (existing == REPLACE) {
		if (replace(from, to, name, path, &status)) return -1;
	} else if (move_other(from, to, name, name, path, &status) || set_attributes(to, name, &status)) {
		return -1;
	}
	return unlinkat(from, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
}

void move_entries(int from, int to, const char *path, enum existing existing)
{
	int again = fcntl(from, F_DUPFD_CLOEXEC, 0);
	DIR *folder = again < 0 ? NULL : fdopendir(again);
	if (!folder) {
		complain(path);
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		char *name = entry->d_name, *whole;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
		if (asprintf(&whole, "%s/%s", path, name) < 0) {
			complain(path);
			break;
		}
		if (move_entry(from, to, name, whole, existing)) complain(whole);
		free(whole);
	}
	closedir(folder);
}
