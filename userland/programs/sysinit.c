// SPDX-License-Identifier: MIT
// Sets the system up: run once by init, before anything else (/etc/inittab).
//
// One small program and no shell script, because each command of a script is a fork, and an exec of BusyBox, on the way to
// the prompt. What a user wants besides goes to /etc/init.d/rcS, which is executed at the end if it is there.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What fails is said, and the rest goes on: a shell in half a system is better than none. */
static void complain(const char *what)
{
	fprintf(stderr, "sysinit: %s: %s\n", what, strerror(errno));
}

/* The first line of a file into @text, without its newline; "" if it cannot be read. */
static void read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n < 0) complain(path);
	if (fd >= 0) close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* Mounts devtmpfs, and makes what it leaves to user space: mount points of other file systems, and links. */
static void make_dev(void)
{
	static const char *const folders[] = { "/dev/pts", "/dev/shm" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, "mode=755")) complain("/dev");
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (mkdir(folders[i], 0755)) complain(folders[i]);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i][0], links[i][1])) complain(links[i][1]);
}

/* Takes the options out of @options that are flags of mount(2); the file system gets the others. */
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

static void mount_all(void)
{
	FILE *table = setmntent("/etc/fstab", "re");
	if (!table) {
		complain("/etc/fstab");
		return;
	}
	for (struct mntent *entry; (entry = getmntent(table));) {
		if (hasmntopt(entry, "noauto") || strcmp(entry->mnt_type, "swap") == 0) continue;
		int may_fail = hasmntopt(entry, "nofail") != NULL;
		unsigned long flags = take_flags(entry->mnt_opts);
		if (mount(entry->mnt_fsname, entry->mnt_dir, entry->mnt_type, flags, entry->mnt_opts) && !may_fail)
			complain(entry->mnt_dir);
	}
	endmntent(table);
}

static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int failed = fd < 0 || ioctl(fd, SIOCSIFADDR, &request);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (failed || ioctl(fd, SIOCSIFFLAGS, &request)) complain("lo");
	if (fd >= 0) close(fd);
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

int main(void)
{
	char name[HOST_NAME_MAX + 1];
	make_dev();
	mount_all();
	read_line("/etc/hostname", name, sizeof name);
	if (name[0] && sethostname(name, strlen(name))) complain("/etc/hostname");
	bring_loopback_up();
	if (kernel_was_told("auklet.exec")) {
		/* does not come back: the machine is only for the commands of its owner */
		execl("/sbin/exec-agent", "exec-agent", (char *)0);
		complain("/sbin/exec-agent");
		return 1;
	}
	execl("/etc/init.d/rcS", "rcS", (char *)0);
	if (errno != ENOENT) complain("/etc/init.d/rcS");
	return 0;
}
