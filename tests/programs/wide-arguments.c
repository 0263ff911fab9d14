// SPDX-License-Identifier: MIT
// Every system call with a 64-bit argument, which is two words: values that need both.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "check.h"

#define FAR ((5LL << 32) + 12345)

int main(void)
{
	int fd = open("/tmp/wide", O_RDWR | O_CREAT | O_TRUNC, 0600), notes;
	_Alignas(8) char events[512];
	char text[8] = "";
	struct iovec vector = { text, 4 };
	struct stat status;
	loff_t from, to;

	CHECK(fd >= 0 && pwrite(fd, "far", 3, FAR) == 3);
	CHECK(fstat(fd, &status) == 0 && status.st_size == FAR + 3);
	CHECK(pread(fd, text, 8, FAR) == 3 && strcmp(text, "far") == 0);
	CHECK(pread(fd, text, 1, 12345) == 1 && text[0] == 0);
	CHECK(pwritev(fd, &(struct iovec){ "vec", 3 }, 1, FAR + 10) == 3 && preadv(fd, &vector, 1, FAR + 10) == 3);
	CHECK(memcmp(text, "vec", 3) == 0);
	CHECK(lseek(fd, FAR, SEEK_SET) == FAR && lseek(fd, 1, SEEK_CUR) == FAR + 1);
	CHECK(ftruncate(fd, FAR + 1) == 0 && fstat(fd, &status) == 0 && status.st_size == FAR + 1);
	CHECK(truncate("/tmp/wide", FAR + 5) == 0 && fstat(fd, &status) == 0 && status.st_size == FAR + 5);
	CHECK(posix_fallocate(fd, FAR + 8192, 10) == 0 && fstat(fd, &status) == 0 && status.st_size == FAR + 8202);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FAR, 1LL << 33) == 0);
	CHECK(pread(fd, text, 1, FAR) == 1 && text[0] == 0);
	CHECK(posix_fadvise(fd, FAR, 1LL << 33, POSIX_FADV_DONTNEED) == 0 && posix_fadvise(fd, -1, 0, 99) == EINVAL);
	CHECK(readahead(fd, FAR, 4096) == 0 || errno == EINVAL);
	CHECK(sync_file_range(fd, FAR, 1LL << 33, SYNC_FILE_RANGE_WRITE) == 0);
	CHECK_ERROR(sync_file_range(fd, -(1LL << 33), 4096, SYNC_FILE_RANGE_WRITE), EINVAL);
	CHECK(pwrite(fd, "copy", 4, FAR) == 4);
	from = FAR;
	to = FAR + (1LL << 32);
	CHECK(copy_file_range(fd, &from, fd, &to, 4, 0) == 4 && from == FAR + 4 && to == FAR + (1LL << 32) + 4);
	CHECK(pread(fd, text, 4, FAR + (1LL << 32)) == 4 && memcmp(text, "copy", 4) == 0);
	CHECK(close(fd) == 0 && unlink("/tmp/wide") == 0);
	puts("offsets");

	notes = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
	CHECK(notes >= 0 && fanotify_mark(notes, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/tmp") == 0);
	CHECK_ERROR(fanotify_mark(notes, FAN_MARK_ADD, FAN_OPEN | 1ULL << 40, AT_FDCWD, "/tmp"), EINVAL);
	CHECK_ERROR(fanotify_mark(notes, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/tmp/none"), ENOENT);
	fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(fanotify_mark(notes, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "/tmp") == 0);
	pid_t child = fork();
	if (child == 0) _exit(open("/tmp", O_RDONLY | O_DIRECTORY) < 0);
	CHECK(waitpid(child, NULL, 0) == child);
	ssize_t length = read(notes, events, sizeof events);
	struct fanotify_event_metadata *event = (void *)events;
	CHECK(length >= (ssize_t)sizeof *event && event->mask & FAN_OPEN && event->pid == child);
	CHECK(fanotify_mark(notes, FAN_MARK_REMOVE, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "/tmp") == 0 && close(notes) == 0);
	puts("masks");
	return failures != 0;
}
