// SPDX-License-Identifier: MIT
// Sets the system up. init runs it once, before anything else (/etc/inittab).
//
// This is a small program and no shell script, because each command of a script
// costs a fork and an exec of BusyBox before the prompt. It executes
// /etc/init.d/rcS at the end, if that is there. What a user wants besides goes
// there.
//
// "sysinit grow BYTES" is for a machine that runs: see grow_home().
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sysinit.h"

void complain(const char *what)
{
	fprintf(stderr, "sysinit: %s: %s\n", what, strerror(errno));
}

void read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n < 0) complain(path);
	if (fd >= 0) close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int is_in_memory(const char *type)
{
	return strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0 || strcmp(type, "devtmpfs") == 0;
}

/*
 * mount(2). A file system in memory begins empty, so it gets what is in the
 * folder below it.
 */
static int mount_with_files(const char *source, const char *path, const char *type, unsigned long flags, const char *options)
{
	int old = is_in_memory(type) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, new;
	int failed = mount(source, path, type, flags, options);
	if (!failed && old >= 0) {
		new = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (new < 0) complain(path);
		else move_entries(old, new, path, KEEP);
		if (new >= 0) close(new);
	}
	int error = errno;
	if (old >= 0) close(old);
	errno = error;
	return failed;
}

/*
 * Mounts devtmpfs, and makes what it leaves to user space: the mount points of
 * other file systems, and links.
 */
static void make_dev(void)
{
	static const char *const folders[] = { "/dev/pts", "/dev/shm" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	if (mount_with_files("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755")) complain("/dev");
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		/* A file that was put into the folder has brought it along. */
		if (mkdir(folders[i], 0755) && errno != EEXIST) complain(folders[i]);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i][0], links[i][1])) complain(links[i][1]);
}

void link_disks(void)
{
	DIR *disks = opendir("/sys/block");
	if (!disks) return;
	for (struct dirent *entry; (entry = readdir(disks));) {
		char path[NAME_MAX + 32], serial[64], target[NAME_MAX + 8], name[128];
		if (strncmp(entry->d_name, "vd", 2) != 0) continue;
		snprintf(path, sizeof path, "/sys/block/%s/serial", entry->d_name);
		read_line(path, serial, sizeof serial);
		if (!serial[0] || strchr(serial, '/')) continue;
		snprintf(target, sizeof target, "../../%s", entry->d_name);
		snprintf(name, sizeof name, DISK_BY_NAME "%s", serial);
		mkdir("/dev/disk", 0755);
		mkdir("/dev/disk/by-id", 0755);
		if (symlink(target, name) && errno != EEXIST) complain(name);
	}
	closedir(disks);
}

void device_of(const char *link, char device[DEVICE_NAME])
{
	char target[DEVICE_NAME - 8];
	ssize_t length = readlink(link, target, sizeof target - 1);
	target[length > 0 ? length : 0] = '\0';
	/* "../../vda" is /dev/vda. */
	const char *slash = strrchr(target, '/');
	snprintf(device, DEVICE_NAME, "/dev/%s", slash ? slash + 1 : target);
}

/*
 * Takes those options out of @options that are flags of mount(2), and returns
 * the flags. The file system gets the other options.
 */
static unsigned long take_flags(char *options)
{
	static const struct { const char *name; unsigned long flag; } known[] = {
		{ "defaults", 0 }, { "rw", 0 }, { "auto", 0 }, { "suid", 0 }, { "dev", 0 }, { "exec", 0 }, { "async", 0 },
		{ "nouser", 0 }, { "nofail", 0 }, { "ro", MS_RDONLY }, { "nosuid", MS_NOSUID }, { "nodev", MS_NODEV },
		{ "noexec", MS_NOEXEC }, { "sync", MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC }, { "noatime", MS_NOATIME },
		{ "nodiratime", MS_NODIRATIME }, { "relatime", MS_RELATIME }, { "strictatime", MS_STRICTATIME }, { "bind", MS_BIND },
	};
	unsigned long flags = 0;
	char *rest = options, *option = options, *next;
	for (; option; option = next) {
		size_t i = 0;
		next = strchr(option, ',');
		if (next) *next++ = '\0';
		while (i < sizeof known / sizeof *known && strcmp(option, known[i].name) != 0) i++;
		if (i < sizeof known / sizeof *known) {
			flags |= known[i].flag;
			continue;
		}
		size_t length = strlen(option);
		if (rest != options) *rest++ = ',';
		memmove(rest, option, length);
		rest += length;
	}
	*rest = '\0';
	return flags;
}

/* Makes a folder, and those around it. */
static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	if (mkdir(path, 0755) && errno != EEXIST) complain(path);
}

/*
 * Mounts what a table names that has the form of /etc/fstab. @shares: it is the
 * one of the owner's shared folders, which may be missing, and whose places are
 * made. One share may be in another.
 */
static void mount_table(const char *path, int shares)
{
	FILE *table = setmntent(path, "re");
	if (!table) {
		if (!shares || errno != ENOENT) complain(path);
		return;
	}
	for (struct mntent *entry; (entry = getmntent(table));) {
		if (hasmntopt(entry, "noauto") || strcmp(entry->mnt_type, "swap") == 0) continue;
		int may_fail = hasmntopt(entry, "nofail") != NULL;
		if (shares) make_folders(entry->mnt_dir);
		unsigned long flags = take_flags(entry->mnt_opts);
		if (mount_with_files(entry->mnt_fsname, entry->mnt_dir, entry->mnt_type, flags, entry->mnt_opts) && !may_fail)
			complain(entry->mnt_dir);
		/* the lines after it may name disks */
		if (strcmp(entry->mnt_type, "sysfs") == 0) link_disks();
	}
	endmntent(table);
}

/*
 * TZ=Area/City on the kernel's command line is a variable of init and of all
 * that init starts. Programs that begin with another environment, as after
 * login, find the zone in /etc/localtime. A file that is there already stays.
 */
static void set_time_zone(void)
{
	static const char zones[] = "/usr/share/zoneinfo/";
	const char *zone = getenv("TZ");
	char path[sizeof zones + NAME_MAX];
	if (!zone || zone[0] == '\0') return;
	if (zone[0] == ':') zone++;
	if (zone[0] == '/' || zone[0] == '.' || strstr(zone, "/.")) return;
	if ((size_t)snprintf(path, sizeof path, "%s%s", zones, zone) >= sizeof path) return;
	if (access(path, R_OK) == 0) {
		if (symlink(path, "/etc/localtime") && errno != EEXIST) complain("/etc/localtime");
	} else if (!strpbrk(zone, "0123456789")) {
		/* The other form of TZ, a rule like CET-1CEST, has a number. */
		fprintf(stderr, "sysinit: TZ: there is no time zone %s, so that times are UTC\n", zone);
	}
}

/*
 * A certificate of the machine's owner, who reads what is sent to port 443
 * (web/src/api/interception.ts), is added to those that programs trust. This
 * program waits: commands are to find them.
 */
static void trust_owner(void)
{
	static char *const words[] = { "update-ca-certificates", NULL };
	pid_t pid;
	if (access("/usr/local/share/ca-certificates/auklet-interception.crt", F_OK)) return;
	errno = posix_spawn(&pid, "/usr/sbin/update-ca-certificates", NULL, NULL, words, environ);
	if (errno || waitpid(pid, NULL, 0) < 0) complain("/usr/sbin/update-ca-certificates");
}

/* Whether the kernel's command line has this word. */
static int kernel_was_told(const char *word)
{
	char line[4096];
	read_line("/proc/cmdline", line, sizeof line);
	for (char *rest = line, *one; (one = strsep(&rest, " "));)
		if (strcmp(one, word) == 0) return 1;
	return 0;
}

/*
 * Starts the exec agent beside the login. init adopts it when this program
 * ends.
 */
static void start_agent(void)
{
	static char *const words[] = { "exec-agent", "beside", NULL };
	pid_t pid;
	int error = posix_spawn(&pid, "/sbin/exec-agent", NULL, NULL, words, environ);
	if (error) {
		errno = error;
		complain("/sbin/exec-agent");
	}
}

int main(int argc, char **argv)
{
	char name[HOST_NAME_MAX + 1];
	/* The kernel's command line has "rdinit=/sbin/sysinit". */
	if (getpid() == 1) return start_root();
	if (argc > 1 && strcmp(argv[1], "grow") == 0) return grow_home(argc > 2 ? argv[2] : "0");
	make_dev();
	mount_table("/etc/fstab", 0);
	mount_home();
	mount_table("/etc/fstab.shares", 1);
	read_line("/etc/hostname", name, sizeof name);
	if (name[0] && sethostname(name, strlen(name))) complain("/etc/hostname");
	bring_network_up();
	trust_owner();
	set_time_zone();
	if (kernel_was_told("auklet.exec")) {
		/*
		 * The exec agent does not end: the machine is only for the
		 * commands of its owner.
		 */
		execl("/sbin/exec-agent", "exec-agent", (char *)0);
		complain("/sbin/exec-agent");
		return 1;
	}
	if (kernel_was_told("auklet.agent")) start_agent();
	execl("/etc/init.d/rcS", "rcS", (char *)0);
	if (errno != ENOENT) complain("/etc/init.d/rcS");
	return 0;
}
