// SPDX-License-Identifier: MIT
#include "complex_impl.h"

/*
 * From here on coshl() and sinhl() may overflow. Their absolute values are half
 * of expl(|x|) there.
 */
#define LARGE 11355

long double complex csinhl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), e;

	if (!isfinite(x) || !isfinite(y)) return csinh(z);
	if (fabsl(x) < LARGE) return CMPLXL(sinhl(x) * cosl(y), coshl(x) * sinl(y));
	e = expl(fabsl(x) / 2);
	return CMPLXL(copysignl(e / 2, x) * cosl(y) * e, e / 2 * sinl(y) * e);
}
