// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <stdlib.h>
#include "introsort.h"

void __qsort_r(void *base, size_t count, size_t width, int (*compare)(const void *, const void *, void *), void *argument)
{
	sort((struct order){ .compare_with = compare, .argument = argument, .width = width }, base, count);
}

weak_alias(__qsort_r, qsort_r);
