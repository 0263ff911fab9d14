// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include "introsort.h"

void qsort(void *base, size_t count, size_t width, int (*compare)(const void *, const void *))
{
	sort((struct order){ .compare = compare, .width = width }, base, count);
}
