// SPDX-License-Identifier: MIT
#include "complex_impl.h"

/*
 * From here on coshl() and sinhl() may overflow. Their absolute values are half
 * of expl(|x|) there.
 */
#define LARGE 11355

long double complex ccoshl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), e;

	if (!isfinite(x) || !isfinite(y)) return ccosh(z);
	if (fabsl(x) < LARGE) return CMPLXL(coshl(x) * cosl(y), sinhl(x) * sinl(y));
	e = expl(fabsl(x) / 2);
	return CMPLXL(e / 2 * cosl(y) * e, copysignl(e / 2, x) * sinl(y) * e);
}
