// SPDX-License-Identifier: MIT
// The gamma function in 128 bits. picolibc has it as expl(lgammal(x)), whose
// last three or four digits are wrong for large results.
#include "libm.h"

long double __lgammal_r(long double, int *);

/*
 * Stirling's series: B(2n) / (2n (2n - 1)) for n from 1. log(gamma(x)) is
 * (x - 1/2) log(x) - x + log(2 pi) / 2 + the sum of each over x^(2n - 1).
 */
static const long double stirling[] = {
	8.3333333333333333333333333333333333333e-2L,
	-2.7777777777777777777777777777777777778e-3L,
	7.9365079365079365079365079365079365079e-4L,
	-5.952380952380952380952380952380952381e-4L,
	8.4175084175084175084175084175084175084e-4L,
	-1.9175269175269175269175269175269175269e-3L,
	6.4102564102564102564102564102564102564e-3L,
	-2.9550653594771241830065359477124183007e-2L,
	1.7964437236883057316493849001588939669e-1L,
	-1.3924322169059011164274322169059011164L,
	1.3402864044168391994478951000690131125e+1L,
	-1.5684828462600201730636513245208897383e+2L,
	2.1931033333333333333333333333333333333e+3L,
	-3.6108771253724989357173265219242230736e+4L,
};
#define TERMS (sizeof stirling / sizeof *stirling)
/*
 * From here on the first term of the series that is left out is below 2^-118.
 */
#define STIRLING_FROM 34
/* gamma(x) is infinite from TOO_LARGE on, and 0 below -TOO_SMALL. */
#define TOO_LARGE 1756
#define TOO_SMALL 1800

static const long double sqrt_2pi = 2.50662827463100050241576528481104525301L;
static const long double pi = 3.14159265358979323846264338327950288420L;

/* A value of more than 113 bits, as the sum of two. */
struct sum {
	long double high, low;
};

/*
 * The exact a * b, where neither a nor b overflows when it is split in halves.
 */
static struct sum product(long double a, long double b)
{
	const long double splitter = 0x1p57L + 1;
	long double ah = a * splitter, bh = b * splitter, p = a * b;

	ah = ah - (ah - a), bh = bh - (bh - b);
	return (struct sum){ p, ah * bh - p + ah * (b - bh) + (a - ah) * bh + (a - ah) * (b - bh) };
}

/*
 * (x - 1)(x - 2) ... down to a factor of at least 1. Each factor is exact. The
 * product is rounded to 113 bits only at the end.
 */
static struct sum falling_product(long double x)
{
	struct sum result = { 1, 0 };

	while (x >= 2) {
		x -= 1;
		struct sum next = product(result.high, x);
		next.low += result.low * x;
		result = next;
	}
	return result;
}

/*
 * gamma(x) of a positive x as two factors, of which each is finite. Returns
 * one, and stores the other.
 */
static long double factors(long double x, long double *other)
{
	long double y, power;
	int sign;

	*other = 1;
	/* The error of 1 + x counts little, because gamma is flat there. */
	if (x < 1) return expl(__lgammal_r(1 + x, &sign)) / x;
	if (x < STIRLING_FROM) {
		struct sum p = falling_product(x);
		y = expl(__lgammal_r(x - floorl(x) + 1, &sign));
		return y * p.high + y * p.low;
	}
	power = 0;
	y = 1 / (x * x);
	for (int n = TERMS - 1; n >= 0; n--) power = power * y + stirling[n];
	/*
	 * The square root of x^(x - 1/2), because the power itself may
	 * overflow. Its exponent is exact.
	 */
	y = powl(x, x / 2 - 0.25L);
	*other = y;
	return y * expl(-x) * sqrt_2pi * expl(power / x);
}

/* sin(pi x) of a positive x that is no integer. */
static long double sin_pi(long double x)
{
	long double fraction = x - 2 * floorl(x / 2);
	int negative = fraction > 1;

	if (negative) fraction -= 1;
	if (fraction > 0.5L) fraction = 1 - fraction;
	fraction = fraction > 0.25L ? cosl(pi * (0.5L - fraction)) : sinl(pi * fraction);
	return negative ? -fraction : fraction;
}

long double tgammal(long double x)
{
	long double y, other;

	if (!isfinite(x)) return x + INFINITY;
	if (x == 0) return 1 / x;
	if (x > 0) {
		if (x >= TOO_LARGE) return x * 0x1p16383L;
		y = factors(x, &other);
		return y * other;
	}
	if (x == floorl(x)) return (x - x) / (x - x);
	if (x > -0x1p-115L) return 1 / x;
	if (x < -TOO_SMALL) return floorl(x) / 2 == floorl(floorl(x) / 2) ? 0.0L : -0.0L;
	/* gamma(x) gamma(-x) is -pi / (x sin(pi x)). */
	x = -x;
	y = factors(x, &other);
	return -pi / (x * sin_pi(x)) / y / other;
}
