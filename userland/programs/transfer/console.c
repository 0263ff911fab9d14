// SPDX-License-Identifier: MIT
// Who works at the console, and where: the process group in its foreground.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "transfer.h"

#define CONSOLE "/dev/hvc0"
/* Where a machine without a login is. */
#define NOWHERE "/root"

/* What a line of /proc/PID/stat says of a process's terminal. */
struct terminal {
	int group;
	unsigned int device;
	int foreground;
};

/* The state, the parent, the group, the session, the device, the foreground. */
static int read_terminal(const char *line, struct terminal *terminal)
{
	/* The name in parentheses may have any letters. */
	const char *rest = strrchr(line, ')');
	char *at;

	if (!rest || rest[1] != ' ' || !rest[2] || rest[2] == 'Z' || rest[2] == 'X')
		return 0;
	strtol(rest + 3, &at, 10);
	terminal->group = strtol(at, &at, 10);
	strtol(at, &at, 10);
	terminal->device = strtoul(at, &at, 10);
	terminal->foreground = strtol(at, &at, 10);
	return 1;
}

/* A device's number, as /proc prints it. */
static unsigned int printed(dev_t device)
{
	return (minor(device) & 0xff) | major(device) << 8 | (minor(device) & ~0xffu) << 12;
}

/*
 * The folder /proc/PID of a process in the foreground, of the group's leader
 * if that runs; -1 if there is none. The folder stays that of this process, or
 * nobody's.
 */
static int foreground_process(void)
{
	struct stat console;
	int found = -1;
	DIR *processes = stat(CONSOLE, &console) == 0 ? opendir("/proc") : NULL;

	if (!processes)
		return -1;
	for (struct dirent *entry; (entry = readdir(processes));) {
		char line[512];
		struct terminal terminal;
		int folder, fd;
		ssize_t n;

		if (!isdigit(entry->d_name[0]))
			continue;
		folder = openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* It may be gone by now. */
		if (folder < 0)
			continue;
		fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
		if (fd >= 0)
			close(fd);
		line[n < 0 ? 0 : n] = '\0';
		if (!read_terminal(line, &terminal) || terminal.device != printed(console.st_rdev) ||
		    terminal.foreground <= 0 || terminal.group != terminal.foreground) {
			close(folder);
			continue;
		}
		if (found >= 0)
			close(found);
		found = folder;
		if (atoi(entry->d_name) == terminal.group)
			break;
	}
	closedir(processes);
	return found;
}

struct user {
	unsigned long user, group, mask;
	gid_t *groups;
	size_t count;
	int known;
};

/* The numbers behind "Groups:". */
static int read_groups(struct user *user, char *at)
{
	for (char *end;; at = end) {
		unsigned long group = strtoul(at, &end, 10);
		gid_t *more;

		if (end == at)
			return 1;
		more = realloc(user->groups, (user->count + 1) * sizeof *more);
		if (!more)
			return 0;
		user->groups = more;
		more[user->count++] = group;
	}
}

/* The number behind a name. Returns whether it is this name's line. */
static int read_number(const char *line, const char *name, int base, unsigned long *number)
{
	size_t length = strlen(name);

	if (strncmp(line, name, length) != 0)
		return 0;
	*number = strtoul(line + length, NULL, base);
	return 1;
}

/*
 * Who has started a process: a set-user-ID program in the foreground still
 * works for the user who called it.
 */
static int read_user(int process, struct user *user)
{
	enum { USER = 1, GROUP = 2, MASK = 4, GROUPS = 8, ALL = 15 };
	int fd = openat(process, "status", O_RDONLY | O_CLOEXEC);
	FILE *status = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;

	if (!status) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (getline(&line, &size, status) > 0) {
		if (read_number(line, "Uid:", 10, &user->user))
			user->known |= USER;
		else if (read_number(line, "Gid:", 10, &user->group))
			user->known |= GROUP;
		else if (read_number(line, "Umask:", 8, &user->mask))
			user->known |= MASK;
		else if (strncmp(line, "Groups:", 7) == 0 && read_groups(user, line + 7))
			user->known |= GROUPS;
	}
	free(line);
	fclose(status);
	return user->known == ALL;
}

int enter_console(void)
{
	struct user user = { 0 };
	int process = foreground_process();
	int folder;

	if (process < 0) {
		if (chdir(NOWHERE) == 0)
			return 1;
		complain(NOWHERE, reason(errno));
		return 0;
	}
	folder = read_user(process, &user) ? openat(process, "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (folder < 0 || fchdir(folder) != 0) {
		complain("the working directory", reason(errno));
		return 0;
	}
	close(folder);
	close(process);
	umask(user.mask);
	if (setgroups(user.count, user.groups) != 0 || setresgid(user.group, user.group, user.group) != 0 ||
	    setresuid(user.user, user.user, user.user) != 0) {
		complain("the user of the console", reason(errno));
		return 0;
	}
	free(user.groups);
	return 1;
}
