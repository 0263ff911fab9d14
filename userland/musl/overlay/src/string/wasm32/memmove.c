// SPDX-License-Identifier: MIT
// memmove(). The instruction memory.copy allows its areas to overlap.
#include <string.h>

void *memmove(void *dest, const void *src, size_t n)
{
	if (n) __builtin_memmove(dest, src, n);
	return dest;
}
