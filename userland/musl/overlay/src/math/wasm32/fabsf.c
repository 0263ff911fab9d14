// SPDX-License-Identifier: MIT
// fabsf() is one wasm instruction.
#include <math.h>

float fabsf(float x)
{
	return __builtin_fabsf(x);
}
