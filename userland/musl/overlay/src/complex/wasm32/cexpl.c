// SPDX-License-Identifier: MIT
#include "complex_impl.h"

/*
 * From this absolute value on expl(x) may overflow or lose digits, but the
 * result need not, because its sine or cosine may be small. expl(x / 2) does
 * neither, so the sine and the cosine are multiplied by it twice.
 */
#define LARGE 11355

long double complex cexpl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), e;

	/* The rules for infinities and NaN are the same for any precision. */
	if (!isfinite(x) || !isfinite(y)) return cexp(z);
	if (fabsl(x) < LARGE) {
		e = expl(x);
		return CMPLXL(e * cosl(y), e * sinl(y));
	}
	e = expl(x / 2);
	return CMPLXL(e * cosl(y) * e, e * sinl(y) * e);
}
