// SPDX-License-Identifier: MIT
// Files and directories through the plain system calls.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <ftw.h>
#include <unistd.h>
#include "check.h"

static int visited;
static int visit(const char *path, const struct stat *st, int type) { visited++; return 0; }

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

/* Whether @length bytes from @offset on are all @byte, read and mapped. */
static int all_are(int fd, const char *mapped, off_t offset, int length, char byte)
{
	static char bytes[8192];
	int same = pread(fd, bytes, length, offset) == length;
	for (int i = 0; i < length; i++) same &= bytes[i] == byte && mapped[offset + i] == byte;
	return same;
}

static off_t size_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static void test_fallocate(void)
{
	int pipe_ends[2], fd = open("allocated", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(posix_fallocate(fd, 0, 10) == 0 && size_of(fd) == 10);
	CHECK(pwrite(fd, "aaaaaaaaaa", 10, 0) == 10);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0 && size_of(fd) == 10);
	CHECK(posix_fallocate(fd, 5000, 3192) == 0 && size_of(fd) == 8192);
	char *mapped = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED);
	CHECK(all_are(fd, mapped, 0, 10, 'a') && all_are(fd, mapped, 10, 8182, 0));

	/* a hole reads as zeros, also in a mapping with what its program has just stored */
	memset(mapped, 'b', 8192);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 5000) == 0 && size_of(fd) == 8192);
	CHECK(all_are(fd, mapped, 0, 100, 'b') && all_are(fd, mapped, 100, 5000, 0) && all_are(fd, mapped, 5100, 3092, 'b'));
	memset(mapped + 200, 'c', 4500);
	CHECK(all_are(fd, mapped, 200, 4500, 'c'));
	CHECK(munmap(mapped, 8192) == 0);

	/* the same, and truncation, behind 4 GiB */
	const off_t far = 0x100000000;
	CHECK(pwrite(fd, "x", 1, far + 100) == 1);
	mapped = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, far);
	CHECK(mapped != MAP_FAILED && mapped[100] == 'x');
	CHECK(ftruncate(fd, far + 50) == 0 && mapped[100] == 0);
	CHECK(pwrite(fd, "x", 1, far + 100) == 1 && mapped[100] == 'x');
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, far) == 0 && mapped[100] == 0);
	CHECK(size_of(fd) == far + 101 && munmap(mapped, 4096) == 0 && ftruncate(fd, 8192) == 0);

	CHECK_ERROR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	CHECK_ERROR(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	CHECK_ERROR(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERROR(fallocate(fd, 0, -1, 1), EINVAL);
	CHECK_ERROR(fallocate(fd, 0, 0, 1LL << 40), ENOSPC);
	CHECK(close(fd) == 0 && (fd = open("allocated", O_RDONLY)) >= 0);
	CHECK_ERROR(fallocate(fd, 0, 0, 1), EBADF);
	CHECK(close(fd) == 0 && unlink("allocated") == 0);
	CHECK(pipe(pipe_ends) == 0);
	CHECK_ERROR(fallocate(pipe_ends[1], 0, 0, 1), ESPIPE);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

int main(void)
{
	char buffer[256];
	struct stat st;
	umask(022);
	CHECK(mkdir("/tmp/test-files", 0755) == 0 && chdir("/tmp/test-files") == 0);
	CHECK(getcwd(buffer, sizeof buffer) && strcmp(buffer, "/tmp/test-files") == 0);

	int fd = open("data", O_RDWR | O_CREAT | O_EXCL, 0640);
	CHECK(fd >= 0);
	CHECK(write(fd, "hello, world", 12) == 12 && lseek(fd, 7, SEEK_SET) == 7);
	CHECK(read(fd, buffer, sizeof buffer) == 5 && memcmp(buffer, "world", 5) == 0);
	CHECK(read(fd, buffer, sizeof buffer) == 0);
	CHECK(pwrite(fd, "J", 1, 0) == 1 && pread(fd, buffer, 5, 0) == 5 && memcmp(buffer, "Jello", 5) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 12 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640);
	CHECK(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
	/* offsets are 64 bit: the low and the high word must both arrive */
	CHECK(lseek(fd, 0x123456789, SEEK_SET) == 0x123456789);
	CHECK(pwrite(fd, "x", 1, 0x100000000) == 1 || errno == EFBIG);
	CHECK(ftruncate(fd, 5) == 0);
	struct iovec parts[2] = { { "ab", 2 }, { "cde", 3 } };
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && writev(fd, parts, 2) == 5);
	int copy = dup(fd);
	CHECK(lseek(copy, 0, SEEK_CUR) == 5);
	CHECK(fcntl(fd, F_GETFD) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fsync(fd) == 0 && close(copy) == 0 && close(fd) == 0);
	CHECK_ERROR(close(fd), EBADF);
	test_fallocate();
	CHECK_ERROR(open("data", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	CHECK_ERROR(open("missing", O_RDONLY), ENOENT);
	CHECK_ERROR(open("data/below", O_RDONLY), ENOTDIR);
	CHECK_ERROR(read(9999, buffer, 1), EBADF);

	fd = open("data", O_WRONLY | O_APPEND);
	CHECK(write(fd, "fgh", 3) == 3 && close(fd) == 0);
	CHECK(stat("data", &st) == 0 && st.st_size == 8 && st.st_nlink == 1);
	CHECK(link("data", "hard") == 0 && stat("hard", &st) == 0 && st.st_nlink == 2);
	CHECK(symlink("data", "soft") == 0 && readlink("soft", buffer, sizeof buffer) == 4);
	CHECK(lstat("soft", &st) == 0 && S_ISLNK(st.st_mode) && stat("soft", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(chmod("data", 0400) == 0 && stat("data", &st) == 0 && (st.st_mode & 07777) == 0400);
	CHECK(access("data", R_OK) == 0);
	struct timespec times[2] = { { 1000000000, 5 }, { 4102444800, 7 } };	/* 2001 and, beyond 32 bits, 2100 */
	CHECK(utimensat(AT_FDCWD, "data", times, 0) == 0 && stat("data", &st) == 0);
	CHECK(st.st_atime == 1000000000 && st.st_mtime == 4102444800);
	CHECK(rename("hard", "renamed") == 0 && mkdir("sub", 0700) == 0 && mkfifo("fifo", 0600) == 0);
	CHECK_ERROR(rmdir("."), EINVAL);

	DIR *directory = opendir(".");
	char *names[16];
	int count = 0;
	for (struct dirent *e; directory && (e = readdir(directory));) names[count++] = strdup(e->d_name);
	closedir(directory);
	qsort(names, count, sizeof *names, by_name);
	for (int i = 0; i < count; i++) printf("%s%s", names[i], i + 1 < count ? " " : "\n");
	CHECK(ftw(".", visit, 4) == 0 && visited == 6);

	struct statfs fs;
	CHECK(statfs("/proc", &fs) == 0 && fs.f_type == 0x9fa0);
	CHECK(unlink("data") == 0 && unlink("soft") == 0 && unlink("renamed") == 0 && unlink("fifo") == 0);
	CHECK_ERROR(rmdir("/tmp/test-files"), ENOTEMPTY);
	CHECK(rmdir("sub") == 0 && chdir("/") == 0 && rmdir("/tmp/test-files") == 0);
	puts("files done");
	return failures != 0;
}
