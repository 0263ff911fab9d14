// SPDX-License-Identifier: MIT
// One wasm instruction.
#include <math.h>

double sqrt(double x)
{
	return __builtin_sqrt(x);
}
