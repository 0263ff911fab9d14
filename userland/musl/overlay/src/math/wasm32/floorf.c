// SPDX-License-Identifier: MIT
// One wasm instruction.
#include <math.h>

float floorf(float x)
{
	return __builtin_floorf(x);
}
