// SPDX-License-Identifier: MIT
// One wasm instruction.
#include <math.h>

float ceilf(float x)
{
	return __builtin_ceilf(x);
}
