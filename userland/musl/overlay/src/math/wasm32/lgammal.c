// SPDX-License-Identifier: MIT
#define lgammal_r __lgammal_r
#include "quad.h"
#include "ld128/e_lgammal_r.c"
#undef lgammal_r

extern int __signgam;

long double lgammal(long double x)
{
	return __lgammal_r(x, &__signgam);
}

weak_alias(__lgammal_r, lgammal_r);
