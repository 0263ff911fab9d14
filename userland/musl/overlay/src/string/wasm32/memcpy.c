// SPDX-License-Identifier: MIT
// memcpy(). The instruction memory.copy has a fixed cost, so short copies are
// loads and stores.
#include <string.h>
#include <stdint.h>

typedef struct { uint64_t v; } __attribute__((__packed__, __may_alias__)) u64;
typedef struct { uint32_t v; } __attribute__((__packed__, __may_alias__)) u32;

void *memcpy(void *restrict dest, const void *restrict src, size_t n)
{
	unsigned char *d = dest;
	const unsigned char *s = src;

	if (n > 32) {
		__builtin_memcpy(d, s, n);
	} else if (n >= 16) {
		uint64_t a = ((u64 *)s)->v, b = ((u64 *)(s + 8))->v;
		uint64_t x = ((u64 *)(s + n - 16))->v, y = ((u64 *)(s + n - 8))->v;
		((u64 *)d)->v = a;
		((u64 *)(d + 8))->v = b;
		((u64 *)(d + n - 16))->v = x;
		((u64 *)(d + n - 8))->v = y;
	} else if (n >= 8) {
		uint64_t a = ((u64 *)s)->v, x = ((u64 *)(s + n - 8))->v;
		((u64 *)d)->v = a;
		((u64 *)(d + n - 8))->v = x;
	} else if (n >= 4) {
		uint32_t a = ((u32 *)s)->v, x = ((u32 *)(s + n - 4))->v;
		((u32 *)d)->v = a;
		((u32 *)(d + n - 4))->v = x;
	} else if (n) {
		unsigned char a = s[0], b = s[n / 2], c = s[n - 1];
		d[0] = a;
		d[n / 2] = b;
		d[n - 1] = c;
	}
	return dest;
}
