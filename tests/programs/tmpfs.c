// SPDX-License-Identifier: MIT
// tmpfs: limits, holes, extended attributes, handles, whiteouts, races; and mincore and process accounting.
#define _GNU_SOURCE
#include <limits.h>
#include <sys/acct.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "check.h"

#define PAGE 4096
#define DIRECTORY "/mnt/tmpfs"
#define TMPFS_TYPE 0x01021994
#define WHITEOUT 4

static char page[PAGE], read_back[PAGE];

static void enter(const char *options)
{
	CHECK(mount("none", DIRECTORY, "tmpfs", 0, options) == 0 && chdir(DIRECTORY) == 0);
}

static void leave(void)
{
	CHECK(chdir("/") == 0 && umount(DIRECTORY) == 0);
}

static unsigned long pages_left(void)
{
	struct statvfs s;
	CHECK(statvfs(DIRECTORY, &s) == 0);
	return s.f_bfree;
}

static int create(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	return fd;
}

static void mount_options(void)
{
	static const char *const bad[] = { "size=x", "size=", "size=5z", "nr_inodes=1%", "mode=9", "uid=-2", "huge=always", "nonsense" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		if (mount("none", DIRECTORY, "tmpfs", 0, bad[i]) != -1 || errno != EINVAL) {
			printf("%s is accepted or another error: %s\n", bad[i], strerror(errno));
			failures++;
		}
	}

	struct statfs s;
	struct stat st;
	enter("size=8k,nr_inodes=5,mode=750,uid=3,gid=4,noswap,inode32");
	CHECK(statfs(".", &s) == 0 && s.f_type == TMPFS_TYPE && s.f_blocks == 2 && s.f_files == 5 && s.f_ffree == 4);
	CHECK(stat(".", &st) == 0 && (st.st_mode & 07777) == 0750 && st.st_uid == 3 && st.st_gid == 4);
	leave();
	enter("nr_blocks=3");
	CHECK(statfs(".", &s) == 0 && s.f_blocks == 3 && stat(".", &st) == 0 && (st.st_mode & 07777) == 01777);
	leave();
	enter("size=10%");
	unsigned long tenth = statfs(".", &s) == 0 ? s.f_blocks : 0;
	leave();
	enter("size=20%");
	CHECK(statfs(".", &s) == 0 && tenth > 100 && s.f_blocks + 2 - 2 * tenth <= 4);
	leave();
	// ramfs takes any.
	CHECK(mount("none", DIRECTORY, "ramfs", 0, "size=x,nonsense") == 0 && umount(DIRECTORY) == 0);
}

static void limits(void)
{
	enter("size=40k,nr_inodes=4");
	int fd = create("a");
	for (int i = 0; i < 10; i++) CHECK(write(fd, page, PAGE) == PAGE);
	CHECK_ERROR(write(fd, page, 1), ENOSPC);
	CHECK(pages_left() == 0);
	// What is there can be written, and what goes is free.
	CHECK(pwrite(fd, page, PAGE, 0) == PAGE && ftruncate(fd, 5 * PAGE + 1) == 0 && pages_left() == 4);
	CHECK_ERROR(fallocate(fd, 0, 0, 11 * PAGE), ENOSPC);
	CHECK(pages_left() == 4);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE) == 0 && pages_left() == 2);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 3 * PAGE) == 0 && pages_left() == 5);
	close(fd);
	CHECK(unlink("a") == 0 && pages_left() == 10);

	CHECK(mkdir("d", 0700) == 0 && symlink("target", "s") == 0 && mknod("p", S_IFIFO | 0600, 0) == 0);
	CHECK_ERROR(open("one too many", O_WRONLY | O_CREAT, 0600), ENOSPC);
	CHECK_ERROR(mkdir("d/one too many", 0700), ENOSPC);
	CHECK(unlink("p") == 0);
	close(create("b"));
	// A further name counts as a file does.
	CHECK_ERROR(link("b", "c"), ENOSPC);
	CHECK(unlink("s") == 0 && link("b", "c") == 0);

	fd = create("b");
	CHECK(write(fd, page, PAGE) == PAGE && write(fd, page, PAGE) == PAGE);
	CHECK_ERROR(mount("none", DIRECTORY, NULL, MS_REMOUNT, "size=4k"), EINVAL);
	CHECK_ERROR(mount("none", DIRECTORY, NULL, MS_REMOUNT, "nr_inodes=2"), EINVAL);
	CHECK(mount("none", DIRECTORY, NULL, MS_REMOUNT, "size=8k") == 0 && pages_left() == 0);
	CHECK_ERROR(write(fd, page, 1), ENOSPC);
	CHECK(mount("none", DIRECTORY, NULL, MS_REMOUNT, "size=40k,nr_inodes=9") == 0 && pages_left() == 8);
	CHECK(write(fd, page, 1) == 1);
	close(fd);
	leave();
}

static void holes(void)
{
	enter("size=64k");
	int fd = create("sparse");
	struct stat st;
	const off_t far = 5LL << 30;
	CHECK(ftruncate(fd, far) == 0 && pwrite(fd, "x", 1, 3 * PAGE + 5) == 1);
	for (off_t at = 0; at < 8 * PAGE; at += PAGE) CHECK(pread(fd, read_back, PAGE, at) == PAGE);
	CHECK(pread(fd, read_back, PAGE, 3 * PAGE) == PAGE && read_back[5] == 'x' && read_back[4] == 0 && read_back[6] == 0);
	// Across both ends of the page, and at the end of the file.
	static char big[4 * PAGE];
	memset(big, 1, sizeof big);
	CHECK(pread(fd, big, sizeof big, 2 * PAGE) == sizeof big && big[PAGE + 5] == 'x');
	for (size_t i = 0; i < sizeof big; i++) CHECK(big[i] == (i == PAGE + 5 ? 'x' : 0));
	CHECK(pread(fd, big, sizeof big, far - 100) == 100 && pread(fd, big, 10, far) == 0);
	// Reading, by sendfile too, leaves a hole a hole.
	int out = create("out");
	off_t at = 2 * PAGE;
	CHECK(sendfile(out, fd, &at, 3 * PAGE) == 3 * PAGE && pread(out, read_back, PAGE, PAGE) == PAGE && read_back[5] == 'x');
	CHECK(unlink("out") == 0 && close(out) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_blocks == 8 && pages_left() == 15);

	CHECK(lseek(fd, 0, SEEK_DATA) == 3 * PAGE && lseek(fd, 3 * PAGE + 1, SEEK_DATA) == 3 * PAGE + 1);
	CHECK(lseek(fd, 0, SEEK_HOLE) == 0 && lseek(fd, 3 * PAGE, SEEK_HOLE) == 4 * PAGE);
	CHECK_ERROR(lseek(fd, 4 * PAGE, SEEK_DATA), ENXIO);
	CHECK_ERROR(lseek(fd, far, SEEK_HOLE), ENXIO);
	CHECK_ERROR(lseek(fd, -1, SEEK_DATA), ENXIO);
	CHECK(pwrite(fd, "y", 1, far - 1) == 1 && lseek(fd, 4 * PAGE, SEEK_DATA) == far - PAGE);
	CHECK(lseek(fd, far - PAGE, SEEK_HOLE) == far);

	// A store through a mapping makes a page of a hole.
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8 * PAGE);
	CHECK(p != MAP_FAILED);
	p[PAGE + 7] = 'z';
	CHECK(lseek(fd, 4 * PAGE, SEEK_DATA) == 9 * PAGE);
	CHECK(pread(fd, read_back, PAGE, 9 * PAGE) == PAGE && read_back[7] == 'z');
	CHECK(munmap(p, 2 * PAGE) == 0 && pages_left() == 13);
	CHECK(ftruncate(fd, 0) == 0 && pages_left() == 16 && fstat(fd, &st) == 0 && st.st_blocks == 0);

	// What was stored to a hole and cut off is zero, however the file grows again.
	CHECK(ftruncate(fd, 2 * PAGE) == 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[PAGE] = 'x';
	CHECK(ftruncate(fd, PAGE) == 0 && fallocate(fd, 0, 0, 2 * PAGE) == 0);
	CHECK(p[PAGE] == 0 && pread(fd, read_back, PAGE, PAGE) == PAGE && read_back[0] == 0);
	p[100] = 'y';
	CHECK(ftruncate(fd, 50) == 0 && pwrite(fd, "z", 1, 200) == 1);
	CHECK(p[100] == 0 && p[200] == 'z' && pread(fd, read_back, PAGE, 0) == 201 && read_back[100] == 0);
	CHECK(munmap(p, 2 * PAGE) == 0);
	close(fd);
	leave();
}

static void attributes(void)
{
	char value[100], name[40];
	enter("size=1m");
	close(create("f"));
	CHECK(mkdir("d", 0700) == 0 && symlink("f", "s") == 0);
	CHECK_ERROR(getxattr("f", "user.a", value, 10), ENODATA);
	CHECK(setxattr("f", "user.a", "one", 3, XATTR_CREATE) == 0 && getxattr("f", "user.a", value, 10) == 3);
	CHECK(memcmp(value, "one", 3) == 0);
	CHECK_ERROR(setxattr("f", "user.a", "two", 3, XATTR_CREATE), EEXIST);
	CHECK_ERROR(setxattr("f", "user.b", "two", 3, XATTR_REPLACE), ENODATA);
	CHECK_ERROR(getxattr("f", "user.a", value, 2), ERANGE);
	CHECK_ERROR(setxattr("f", "unknown.a", "x", 1, 0), EOPNOTSUPP);
	CHECK_ERROR(lsetxattr("s", "user.a", "x", 1, 0), EPERM);
	CHECK(lsetxattr("s", "trusted.a", "x", 1, 0) == 0 && lgetxattr("s", "trusted.a", value, 10) == 1);
	CHECK(setxattr("d", "user.d", "", 0, 0) == 0 && getxattr("d", "user.d", value, 10) == 0);
	CHECK(setxattr("f", "trusted.overlay.x", "y", 1, 0) == 0);
	CHECK(listxattr("f", value, sizeof value) == (ssize_t)(sizeof "user.a" + sizeof "trusted.overlay.x"));
	CHECK(removexattr("f", "user.a") == 0);
	CHECK_ERROR(removexattr("f", "user.a"), ENODATA);

	leave();

	// Any user may set these. They take of the room for files, so there is an end; and as many again when they are gone.
	enter("size=1m,nr_inodes=20");
	close(create("f"));
	for (int round = 0, most = 0; round < 2; round++) {
		int i = 0;
		do sprintf(name, "user.%d", i); while (setxattr("f", name, page, 10, 0) == 0 && ++i < 1000);
		CHECK(errno == ENOSPC && i > 10 && (round == 0 || i == most));
		most = i;
		while (i-- > 0) {
			sprintf(name, "user.%d", i);
			CHECK(removexattr("f", name) == 0);
		}
	}
	leave();
}

static void handles(void)
{
	enum { BYTES = 64 };
	struct file_handle *handle = calloc(1, sizeof *handle + BYTES);
	int mount_id;
	enter("size=1m");
	int fd = create("f");
	CHECK(write(fd, "content", 7) == 7 && close(fd) == 0);
	CHECK_ERROR(name_to_handle_at(AT_FDCWD, "f", handle, &mount_id, 0), EOVERFLOW);
	handle->handle_bytes = BYTES;
	CHECK(name_to_handle_at(AT_FDCWD, "f", handle, &mount_id, 0) == 0);
	int directory = open(".", O_RDONLY);
	CHECK(rename("f", "g") == 0);
	fd = open_by_handle_at(directory, handle, O_RDONLY);
	CHECK(fd >= 0 && read(fd, read_back, PAGE) == 7 && close(fd) == 0);
	handle->f_handle[4] ^= 1;
	CHECK_ERROR(open_by_handle_at(directory, handle, O_RDONLY), ESTALE);
	handle->f_handle[4] ^= 1;
	CHECK(unlink("g") == 0);
	CHECK_ERROR(open_by_handle_at(directory, handle, O_RDONLY), ESTALE);
	close(directory);
	free(handle);
	leave();
}

static void whiteouts(void)
{
	struct stat st;
	enter("size=1m");
	close(create("f"));
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", WHITEOUT) == 0);
	CHECK(stat("f", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0 && stat("g", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(mkdir("upper", 0700) == 0 && mkdir("lower", 0700) == 0 && mkdir("work", 0700) == 0 && mkdir("all", 0700) == 0);
	CHECK(mkdir("lower/d", 0700) == 0);
	close(create("lower/d/1"));
	close(create("lower/2"));
	CHECK(mount("all", "all", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == 0);
	CHECK(unlink("all/2") == 0 && stat("upper/2", &st) == 0 && S_ISCHR(st.st_mode));
	// A directory that is made again does not show what was in the one of its name: an attribute says so.
	CHECK(unlink("all/d/1") == 0 && rmdir("all/d") == 0 && mkdir("all/d", 0700) == 0);
	CHECK_ERROR(stat("all/d/1", &st), ENOENT);
	CHECK(getxattr("upper/d", "trusted.overlay.opaque", read_back, PAGE) == 1);
	CHECK(umount("all") == 0);
	leave();
}

// Whatever happens at once, what is charged to the mount is given back.
static void races(void)
{
	enum { PROCESSES = 4, ROUNDS = 3000, PAGES = 24 };
	enter("size=96k");
	for (unsigned process = 0; process < PROCESSES; process++)
		if (fork() == 0) {
			unsigned random = process + 1;
			for (int round = 0; round < ROUNDS; round++) {
				random = random * 1103515245 + 12345;
				char name[2] = { 'a' + (random >> 16) % 3, 0 };
				unsigned action = (random >> 18) % 16;
				off_t at = (off_t)((random >> 22) % PAGES) * PAGE + 1;
				int fd = open(name, O_RDWR | O_CREAT, 0600);
				if (fd < 0) continue;
				if (action < 6) pwrite(fd, page, PAGE, at);
				else if (action < 8) ftruncate(fd, at);
				else if (action < 10) fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 5 * PAGE);
				else if (action < 12) fallocate(fd, action & 1 ? FALLOC_FL_KEEP_SIZE : 0, at, 5 * PAGE);
				else if (action < 13) unlink(name);
				else if (action < 15) pread(fd, read_back, PAGE, at);
				else {
					char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
					if (p != MAP_FAILED) {
						p[at % (4 * PAGE)] = 1;
						munmap(p, 4 * PAGE);
					}
				}
				close(fd);
			}
			_exit(0);
		}
	while (wait(NULL) > 0) {}
	struct stat st;
	unsigned long used = 0;
	for (char name[2] = "a"; *name <= 'c'; ++*name)
		if (stat(name, &st) == 0) used += st.st_blocks / 8;
	CHECK(pages_left() == 24 - used);
	unlink("a"), unlink("b"), unlink("c");
	CHECK(pages_left() == 24);
	leave();
}

static void residence(void)
{
	unsigned char vector[4] = { 0 };
	char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mincore(p, 2 * PAGE + 1, vector) == 0 && vector[0] == 1 && vector[2] == 1 && vector[3] == 0);
	CHECK_ERROR(mincore(p + 1, PAGE, vector), EINVAL);
	CHECK_ERROR(mincore(p, PAGE, (unsigned char *)-1), EFAULT);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	CHECK_ERROR(mincore(p, 3 * PAGE, vector), ENOMEM);
	CHECK(munmap(p, 3 * PAGE) == 0);
}

static void accounting(void)
{
	struct acct_v3 record;
	enter("size=1m");
	close(create("acct"));
	CHECK(acct("acct") == 0);
	pid_t child = fork();
	if (child == 0) _exit(3);
	CHECK(waitpid(child, NULL, 0) == child && acct(NULL) == 0);
	int fd = open("acct", O_RDONLY);
	CHECK(read(fd, &record, sizeof record) == sizeof record && record.ac_pid == (unsigned)child && record.ac_exitcode == 3 << 8);
	close(fd);
	leave();
}

int main(void)
{
	memset(page, 'p', sizeof page);
	CHECK(mkdir(DIRECTORY, 0755) == 0);
	mount_options();
	limits();
	holes();
	attributes();
	handles();
	whiteouts();
	races();
	residence();
	accounting();
	CHECK(rmdir(DIRECTORY) == 0);
	printf(failures ? "%d failures\n" : "passed\n", failures);
	return failures != 0;
}
