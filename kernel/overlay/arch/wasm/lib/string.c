// SPDX-License-Identifier: GPL-2.0-only
/* Copies and fills of memory: wasm has an instruction for each. */
#include <linux/export.h>
#include <linux/string.h>

#undef memcpy
#undef memmove
#undef memset

void *memcpy(void *to, const void *from, size_t n)
{
	__asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.copy 0, 0"
			 : : "r" (to), "r" (from), "r" (n) : "memory");
	return to;
}
EXPORT_SYMBOL(memcpy);

void *memmove(void *to, const void *from, size_t n)
{
	__asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.copy 0, 0"
			 : : "r" (to), "r" (from), "r" (n) : "memory");
	return to;
}
EXPORT_SYMBOL(memmove);

void *memset(void *to, int value, size_t n)
{
	__asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.fill 0"
			 : : "r" (to), "r" (value), "r" (n) : "memory");
	return to;
}
EXPORT_SYMBOL(memset);
