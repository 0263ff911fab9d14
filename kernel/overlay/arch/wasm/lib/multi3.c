// SPDX-License-Identifier: GPL-2.0-only
/* 128-bit multiplication, which the compiler calls where it wants the high half of a product. */
#include <linux/types.h>
#include <asm/multi3.h>

__int128 __multi3(__int128 a, __int128 b)
{
	u64 a_low = (u64)a, b_low = (u64)b;
	u64 a0 = (u32)a_low, a1 = a_low >> 32;
	u64 b0 = (u32)b_low, b1 = b_low >> 32;
	u64 middle = a1 * b0 + (a0 * b0 >> 32);
	u64 middle2 = a0 * b1 + (u32)middle;
	u64 high = a1 * b1 + (middle >> 32) + (middle2 >> 32);

	high += a_low * (u64)(b >> 64) + (u64)(a >> 64) * b_low;
	return (__int128)((unsigned __int128)high << 64 | a_low * b_low);
}
