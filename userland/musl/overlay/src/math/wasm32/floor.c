// SPDX-License-Identifier: MIT
// floor() is one wasm instruction.
#include <math.h>

double floor(double x)
{
	return __builtin_floor(x);
}
