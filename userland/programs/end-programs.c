// SPDX-License-Identifier: MIT
// Ends all programs but init, so that the disks can be unmounted, and makes the
// disk "home" read-only. init runs it when the machine is powered off,
// restarted or halted (/etc/inittab): its own turn to end programs comes after
// that.
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds that programs have to end by themselves, and to be killed. */
enum { PATIENCE = 1000, STEP = 10 };

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

static int others_run(DIR *processes)
{
	rewinddir(processes);
	for (struct dirent *entry; (entry = readdir(processes));) {
		char path[sizeof entry->d_name + 8], line[512];
		if (!isdigit(entry->d_name[0]) || atoi(entry->d_name) == 1 || atoi(entry->d_name) == getpid()) continue;
		snprintf(path, sizeof path, "%s/stat", entry->d_name);
		int fd = openat(dirfd(processes), path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
		if (fd >= 0) close(fd);
		/* It may be gone by now. */
		if (n <= 0) continue;
		line[n] = '\0';
		if (is_program(line)) return 1;
	}
	return 0;
}

static int all_end(DIR *processes)
{
	const struct timespec step = { .tv_nsec = STEP * 1000000 };
	for (int waited = 0; others_run(processes); waited += STEP) {
		if (waited >= PATIENCE) return 0;
		nanosleep(&step, NULL);
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
