// SPDX-License-Identifier: MIT
// What is done with a path at once, without a handle.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"

int get_status(const char *path, struct status *status)
{
	struct stat s;

	if (stat(path, &s) != 0)
		return errno;
	*status = (struct status) {
		.mode = s.st_mode,
		.links = s.st_nlink,
		.user = s.st_uid,
		.group = s.st_gid,
		.size = s.st_size,
		.seconds = s.st_mtim.tv_sec,
		.nanoseconds = s.st_mtim.tv_nsec,
	};
	return 0;
}

int check_file(const char *path)
{
	struct stat s;

	/* open() says better why it fails, and may make the file. */
	if (stat(path, &s) != 0 || S_ISREG(s.st_mode))
		return 0;
	return S_ISDIR(s.st_mode) ? EISDIR : EACCES;
}

int make_folder(char *path, uint32_t mode, uint32_t flags)
{
	struct stat s;

	if (!(flags & RECURSIVE))
		return mkdir(path, mode & 07777) == 0 ? 0 : errno;
	for (char *at = path + 1;; at++) {
		at = strchrnul(at, '/');
		char end = *at;

		*at = '\0';
		if (mkdir(path, mode & 07777) != 0) {
			if (errno != EEXIST)
				return errno;
			if (stat(path, &s) != 0)
				return errno;
			if (!S_ISDIR(s.st_mode))
				return ENOTDIR;
		}
		*at = end;
		if (!end)
			return 0;
	}
}

/* A folder that is being emptied. */
struct level {
	struct level *up;
	DIR *folder;
	int removed;	/* something, since the reading of its names began */
	char name[];	/* in the folder above */
};

/*
 * Goes down into a folder, or does nothing if it is gone. A link that was put
 * in its place is not followed.
 */
static int go_down(struct level **top, int above, const char *name)
{
	int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct level *level;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	level = malloc(sizeof *level + strlen(name) + 1);
	DIR *folder = level ? fdopendir(fd) : NULL;
	if (!folder) {
		free(level);
		close(fd);
		return ENOMEM;
	}
	*level = (struct level) { .up = *top, .folder = folder };
	strcpy(level->name, name);
	*top = level;
	return 0;
}

/* Leaves a folder, and removes it if the one above it is among the levels. */
static int go_up(struct level **top)
{
	struct level *level = *top, *up = level->up;
	int error = 0;

	closedir(level->folder);
	if (up) {
		if (unlinkat(dirfd(up->folder), level->name, AT_REMOVEDIR) != 0 && errno != ENOENT)
			error = errno;
		up->removed = 1;
	}
	free(level);
	*top = up;
	return error;
}

/*
 * Removes all that is in a folder. No link is followed: every name is looked up
 * in a folder that is open. The levels are on the heap, because a folder may be
 * deeper than the stack.
 */
static int empty_folder(const char *path)
{
	struct level *top = NULL;
	int error = go_down(&top, AT_FDCWD, path);

	while (top && !error) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(top->folder);
		if (!entry && errno) {
			error = errno;
		} else if (!entry && top->removed) {
			/* Some file systems leave names out when others go. */
			top->removed = 0;
			rewinddir(top->folder);
		} else if (!entry) {
			error = go_up(&top);
		} else if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		} else if (unlinkat(dirfd(top->folder), entry->d_name, 0) == 0) {
			top->removed = 1;
		} else if (errno == EISDIR) {
			error = go_down(&top, dirfd(top->folder), entry->d_name);
		} else if (errno != ENOENT) {
			error = errno;
		}
	}
	while (top) {
		struct level *level = top;

		top = level->up;
		closedir(level->folder);
		free(level);
	}
	return error;
}

int remove_path(const char *path, uint32_t flags)
{
	int error;

	/* The root itself cannot be removed, so nothing in it is. */
	if (strcmp(path, "/") == 0)
		return EBUSY;
	error = unlink(path) == 0 ? 0 : errno;
	if (error == EISDIR && (flags & RECURSIVE)) {
		error = empty_folder(path);
		if (!error && rmdir(path) != 0)
			error = errno;
	}
	return error == ENOENT && (flags & FORCE) ? 0 : error;
}
