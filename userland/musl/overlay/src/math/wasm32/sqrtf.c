// SPDX-License-Identifier: MIT
// One wasm instruction.
#include <math.h>

float sqrtf(float x)
{
	return __builtin_sqrtf(x);
}
