// SPDX-License-Identifier: MIT
// A file that takes all the memory it can get: an error for its writer, and everything else lives.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

#define NAME "/tmp/full"

static char block[1 << 20];

static int can_fork(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) _exit(7);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

int main(void)
{
	memset(block, 1, sizeof block);
	for (int round = 0; round < 2; round++) {
		int fd = open(NAME, O_WRONLY | O_CREAT | O_EXCL, 0600);
		ssize_t n;

		CHECK(fd >= 0);
		struct statvfs info;
		CHECK(statvfs("/tmp", &info) == 0 && info.f_bsize == 4096);
		unsigned long before = info.f_bavail;
		CHECK(before > 1000 && before <= info.f_blocks);
		/* To allocate more than there is leaves nothing behind. */
		CHECK_ERROR(fallocate(fd, 0, 0, (off_t)(before + info.f_blocks / 16) * info.f_bsize), ENOSPC);
		CHECK(lseek(fd, 0, SEEK_END) == 0);
		CHECK(statvfs("/tmp", &info) == 0 && info.f_bavail + 1024 > before);
		do n = write(fd, block, sizeof block); while (n > 0);
		CHECK(n == -1 && errno == ENOSPC);
		CHECK(statvfs("/tmp", &info) == 0 && info.f_bavail < before / 20);
		CHECK_ERROR(open("/tmp/other", O_WRONLY | O_CREAT, 0600), ENOSPC);
		CHECK_ERROR(fsetxattr(fd, "user.other", "x", 1, 0), ENOSPC);
		CHECK(can_fork());
		/* What is there can still be written. */
		CHECK(pwrite(fd, "x", 1, 0) == 1);
		CHECK(close(fd) == 0 && unlink(NAME) == 0);
	}
	puts("full done");
	return failures != 0;
}
