/* SPDX-License-Identifier: MIT */
/* Shared by the test programs: say what failed and where, and go on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One for all files of a program. */
__attribute__((weak)) int failures;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s:%d: failed: %s (errno %d, %s)\n", \
				__FILE_NAME__, __LINE__, #condition, errno, strerror(errno)); \
			failures++; \
		} \
	} while (0)

/* Until the task (a process's main thread, or another by its number) sleeps in a call that signals interrupt. */
__attribute__((unused)) static void wait_until_asleep(pid_t task)
{
	char path[40], text[200];
	sprintf(path, "/proc/%d/stat", task);
	for (;;) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof text - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		char *after_name = strrchr(text, ')');
		if (after_name && after_name[2] == 'S') return;
		usleep(500);
	}
}

/* For functions that must fail: result -1 and this error. */
#define CHECK_ERROR(call, error) \
	do { \
		errno = 0; \
		long result_ = (long)(call); \
		if (result_ != -1 || errno != (error)) { \
			printf("%s:%d: %s gave %ld, errno %d instead of %d\n", \
				__FILE_NAME__, __LINE__, #call, result_, errno, (error)); \
			failures++; \
		} \
	} while (0)
