// SPDX-License-Identifier: MIT
// vfork() is fork(), because a child that shares the memory could not return
// from this function.
#define _GNU_SOURCE
#include <unistd.h>

pid_t vfork(void)
{
	return _Fork();
}
