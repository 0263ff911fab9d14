// SPDX-License-Identifier: MIT
// Ends all programs but init, so that the disks can be unmounted, and makes the
// disk "home" read-only. init runs it when the machine is powered off,
// restarted or halted (/etc/inittab): its own turn to end programs comes after
// that.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds that programs have to end by themselves, and to be killed. */
enum { PATIENCE = 1000 };

/* Whether a line of /proc/PID/stat is that of a program which has not ended. */
static int is_program(const char *line)
{
	/* Linux's PF_KTHREAD */
	enum { KERNEL_THREAD = 0x00200000 };
	char state;
	unsigned int flags;
	/* The name in parentheses may have any letters. */
	const char *rest = strrchr(line, ')');
	return rest && sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 && state != 'Z' && state != 'X' &&
	       !(flags & KERNEL_THREAD);
}

/* A program that runs, and is neither init nor this one; or 0. */
static pid_t other_program(DIR *processes)
{
	rewinddir(processes);
	for (struct dirent *entry; (entry = readdir(processes));) {
		char path[sizeof entry->d_name + 8], line[512];
		pid_t pid = isdigit(entry->d_name[0]) ? atoi(entry->d_name) : 0;
		if (pid <= 1 || pid == getpid()) continue;
		snprintf(path, sizeof path, "%s/stat", entry->d_name);
		int fd = openat(dirfd(processes), path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
		if (fd >= 0) close(fd);
		/* It may be gone by now. */
		if (n <= 0) continue;
		line[n] = '\0';
		if (is_program(line)) return pid;
	}
	return 0;
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Waits for the end of one after the other. Returns 0 if that takes long. */
static int all_end(DIR *processes)
{
	long end = milliseconds() + PATIENCE;
	for (pid_t pid; (pid = other_program(processes));) {
		struct pollfd its_end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
		/* It may be gone by now. */
		if (its_end.fd < 0 && errno == ESRCH) continue;
		long left = end - milliseconds();
		int ended = its_end.fd >= 0 && left > 0 && poll(&its_end, 1, left) > 0;
		if (its_end.fd >= 0) close(its_end.fd);
		if (!ended) return 0;
	}
	return 1;
}

int main(void)
{
	DIR *processes = opendir("/proc");
	if (!processes) {
		perror("end-programs: /proc");
		return 1;
	}
	kill(-1, SIGTERM);
	/* An interactive shell ignores SIGTERM. */
	kill(-1, SIGHUP);
	kill(-1, SIGCONT);
	int ended = all_end(processes);
	if (!ended) {
		kill(-1, SIGKILL);
		ended = all_end(processes);
	}
	/*
	 * An overlayfs that is the root has a mount of its own of the disk, so
	 * umount would not be enough. This fails where nothing is mounted.
	 */
	mount(NULL, "/home", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	return ended ? 0 : 1;
}
