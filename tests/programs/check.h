/* SPDX-License-Identifier: MIT */
/* Shared by the test programs: say what failed and where, and go on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s:%d: failed: %s (errno %d, %s)\n", \
				__FILE_NAME__, __LINE__, #condition, errno, strerror(errno)); \
			failures++; \
		} \
	} while (0)

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
