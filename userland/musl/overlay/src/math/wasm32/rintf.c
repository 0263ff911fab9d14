// SPDX-License-Identifier: MIT
// rintf() is one wasm instruction.
#include <math.h>

float rintf(float x)
{
	return __builtin_rintf(x);
}
