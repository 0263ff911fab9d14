// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <stdlib.h>
#include "callback.h"
#include "introsort.h"

struct call {
	int (*compare)(const void *, const void *, void *);
	void *argument;
};

static int compare_by_shape(const void *a, const void *b, void *argument)
{
	struct call *call = argument;
	return CALLBACK3(WORD_3, call->compare, a, b, call->argument);
}

void __qsort_r(void *base, size_t count, size_t width, int (*compare)(const void *, const void *, void *), void *argument)
{
	struct call call = { compare, argument };

	/* The type is asked for once, so that each comparison is one call. */
	if (!__has_shape((uintptr_t)compare, WORD_3)) {
		compare = compare_by_shape;
		argument = &call;
	}
	sort((struct order){ .compare_with = compare, .argument = argument, .width = width }, base, count);
}

weak_alias(__qsort_r, qsort_r);
