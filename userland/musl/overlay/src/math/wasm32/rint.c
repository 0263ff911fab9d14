// SPDX-License-Identifier: MIT
// rint() is one wasm instruction.
#include <math.h>

double rint(double x)
{
	return __builtin_rint(x);
}
