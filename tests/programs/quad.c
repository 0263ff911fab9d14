// SPDX-License-Identifier: MIT
// Functions of long double (128 bits) against right values: few units in the last place, remainders exact.
#define _GNU_SOURCE
#include <complex.h>
#include <math.h>
#include <stdint.h>
#include "check.h"

typedef union {
	long double value;
	struct { uint64_t low, high; };
} Quad;

static long double quad(uint64_t high, uint64_t low)
{
	return (Quad){ .low = low, .high = high }.value;
}

/* A number of which neighbours differ by 1. */
static __int128 place(long double value)
{
	Quad q = { .value = value };
	__int128 place = (__int128)(q.high << 1 >> 1) << 64 | q.low;
	return q.high >> 63 ? -place : place;
}

static void check_value(const char *call, long double x, long double y, long double got, long double right, int units)
{
	__int128 difference = place(got) - place(right);
	if (!isnan(got) && difference <= units && difference >= -units && signbit(got) == signbit(right)) return;
	printf("%s of %La and %La is %La and not %La\n", call, x, y, got, right);
	failures++;
}

static void check_remainder(long double x, long double y, long double right, int quotient)
{
	int found;
	check_value("remquol", x, y, remquol(x, y, &found), right, 0);
	check_value("remainderl", x, y, remainderl(x, y), right, 0);
	if ((found < 0 ? -(-found & 7) : found & 7) != quotient) {
		printf("remquol of %La and %La has the quotient %d and not %d\n", x, y, found, quotient);
		failures++;
	}
}

int main(void)
{
#define ONE(function, units, x, x_low, result, result_low) \
	check_value(#function, quad(x, x_low), 0, function(quad(x, x_low)), quad(result, result_low), units);
#define TWO(function, units, x, x_low, y, y_low, result, result_low) \
	check_value(#function, quad(x, x_low), quad(y, y_low), function(quad(x, x_low), quad(y, y_low)), quad(result, result_low), units);
#define REMAINDER(x, x_low, y, y_low, result, result_low, quotient) \
	check_remainder(quad(x, x_low), quad(y, y_low), quad(result, result_low), quotient);
#define COMPLEX(function, units, x, x_low, y, y_low, real, real_low, imaginary, imaginary_low) \
	result = function(CMPLXL(quad(x, x_low), quad(y, y_low))); \
	check_value("real part of " #function, quad(x, x_low), quad(y, y_low), creall(result), quad(real, real_low), units); \
	check_value("imaginary part of " #function, quad(x, x_low), quad(y, y_low), cimagl(result), quad(imaginary, imaginary_low), units);
	long double complex result;
#include "quad-table.h"

	/* No numbers, and what is infinite or nothing. */
	CHECK(isnan(logl(-1)) && isnan(log2l(-1)) && isnan(log10l(-1)) && isnan(log1pl(-2)) && isnan(acoshl(0.5L)));
	CHECK(logl(0) == -INFINITY && log2l(-0.0L) == -INFINITY && log10l(0) == -INFINITY && log1pl(-1) == -INFINITY);
	CHECK(expl(-INFINITY) == 0 && expl(INFINITY) == INFINITY && expm1l(-INFINITY) == -1 && isnan(expl(NAN)));
	CHECK(sinhl(-INFINITY) == -INFINITY && coshl(-INFINITY) == INFINITY && tanhl(-INFINITY) == -1 && asinhl(-INFINITY) == -INFINITY);
	CHECK(powl(NAN, 0) == 1 && powl(1, NAN) == 1 && powl(-1, INFINITY) == 1 && isnan(powl(-2, 0.5L)) && powl(-0.0L, -3) == -INFINITY);
	CHECK(isnan(tgammal(-2)) && tgammal(-0.0L) == -INFINITY && isnan(tgammal(-INFINITY)) && tgammal(INFINITY) == INFINITY);
	CHECK(tgammal(-1801.5L) == 0 && signbit(tgammal(-1800.5L)) != signbit(tgammal(-1801.5L)));
	CHECK(lgammal(-3) == INFINITY && lgammal(-INFINITY) == INFINITY && erfl(-INFINITY) == -1 && erfcl(-INFINITY) == 2);
	int sign = 0;
	CHECK(lgammal_r(-0.5L, &sign) > 1.26L && sign == -1 && lgammal(-0.5L) > 1.26L && signgam == -1);
	signgam = 7;
	CHECK(tgammal(2.5L) > 1 && signgam == 7);
	CHECK(isnan(remainderl(1, 0)) && isnan(remainderl(INFINITY, 1)) && remainderl(3, INFINITY) == 3);

	CHECK(creall(clogl(CMPLXL(expl(1000), 0))) == 1000 && isinf(creall(cexpl(CMPLXL(INFINITY, 1)))));
	puts("long double");
	return failures != 0;
}
