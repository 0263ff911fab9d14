// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include "callback.h"
#include "introsort.h"

static int compare_by_shape(const void *a, const void *b, void *function)
{
	return CALLBACK2(WORD_2, function, a, b);
}

/*
 * Sorts by a comparison of another type than the declared one. This is not part
 * of qsort(), so that each comparison there is one call through the pointer
 * itself.
 */
static __attribute__((__noinline__)) void sort_by_shape(void *base, size_t count, size_t width, void *compare)
{
	struct order order = { .compare_with = compare_by_shape, .argument = compare, .width = width };

	if (count > 1 && width)
		introsort(&order, base, count);
}

void qsort(void *base, size_t count, size_t width, int (*compare)(const void *, const void *))
{
	if (__has_shape((uintptr_t)compare, WORD_2))
		sort((struct order){ .compare = compare, .width = width }, base, count);
	else
		sort_by_shape(base, count, width, (void *)(uintptr_t)compare);
}
