// SPDX-License-Identifier: MIT
// ceilf() is one wasm instruction.
#include <math.h>

float ceilf(float x)
{
	return __builtin_ceilf(x);
}
