// SPDX-License-Identifier: MIT
#include "complex_impl.h"

/* Above it, and below the negative, expl() of the half is taken twice, so that a small sine or cosine counts. */
#define LARGE 11355

long double complex cexpl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), e;

	/* What is not finite is a matter of rules, which are those of any precision. */
	if (!isfinite(x) || !isfinite(y)) return cexp(z);
	if (fabsl(x) < LARGE) {
		e = expl(x);
		return CMPLXL(e * cosl(y), e * sinl(y));
	}
	e = expl(x / 2);
	return CMPLXL(e * cosl(y) * e, e * sinl(y) * e);
}
