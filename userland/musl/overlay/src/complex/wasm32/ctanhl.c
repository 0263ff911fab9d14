// SPDX-License-Identifier: MIT
#include "complex_impl.h"

/* Above this number tanhl() is 1 in 113 bits. */
#define LARGE 45

long double complex ctanhl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), t, s, c;

	if (!isfinite(x) || !isfinite(y)) return ctanh(z);
	if (fabsl(x) > LARGE) return CMPLXL(copysignl(1, x), 4 * sinl(y) * cosl(y) * expl(-2 * fabsl(x)));
	/* From Kahan, "Branch cuts for complex elementary functions", 1987. */
	t = tanl(y);
	s = sinhl(x);
	c = 1 + t * t;
	return CMPLXL(c * sqrtl(1 + s * s) * s / (1 + c * s * s), t / (1 + c * s * s));
}
