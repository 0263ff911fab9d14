// SPDX-License-Identifier: MIT
// floorf() is one wasm instruction.
#include <math.h>

float floorf(float x)
{
	return __builtin_floorf(x);
}
