// SPDX-License-Identifier: MIT
#include "complex_impl.h"

long double complex csqrtl(long double complex z)
{
	long double x = creall(z), y = cimagl(z), t;
	int exponent;

	if (!isfinite(x) || !isfinite(y)) return csqrt(z);
	if (x == 0 && y == 0) return CMPLXL(0, y);
	/*
	 * Scales both parts by an even power of two, which brings the larger
	 * one near 1. The sum cannot overflow then, and the smaller part is not
	 * lost.
	 */
	exponent = (ilogbl(fabsl(x) > fabsl(y) ? x : y) + 1) / 2;
	x = scalbnl(x, -2 * exponent);
	y = scalbnl(y, -2 * exponent);
	t = sqrtl((fabsl(x) + hypotl(x, y)) / 2);
	if (x >= 0) return CMPLXL(scalbnl(t, exponent), scalbnl(y / (2 * t), exponent));
	return CMPLXL(scalbnl(fabsl(y) / (2 * t), exponent), scalbnl(copysignl(t, y), exponent));
}
