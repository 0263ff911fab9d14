// SPDX-License-Identifier: MIT
// memset(). The instruction memory.fill has a fixed cost, so short fills are
// stores.
#include <string.h>
#include <stdint.h>

typedef struct { uint64_t v; } __attribute__((__packed__, __may_alias__)) u64;
typedef struct { uint32_t v; } __attribute__((__packed__, __may_alias__)) u32;

void *memset(void *dest, int c, size_t n)
{
	unsigned char *d = dest;
	uint64_t v = (unsigned char)c * 0x0101010101010101ULL;

	if (n > 32) {
		__builtin_memset(d, c, n);
	} else if (n >= 16) {
		((u64 *)d)->v = ((u64 *)(d + 8))->v = v;
		((u64 *)(d + n - 16))->v = ((u64 *)(d + n - 8))->v = v;
	} else if (n >= 8) {
		((u64 *)d)->v = ((u64 *)(d + n - 8))->v = v;
	} else if (n >= 4) {
		((u32 *)d)->v = ((u32 *)(d + n - 4))->v = v;
	} else if (n) {
		d[0] = d[n / 2] = d[n - 1] = c;
	}
	return dest;
}
