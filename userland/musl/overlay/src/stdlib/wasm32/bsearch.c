// SPDX-License-Identifier: MIT
// Upstream's bsearch(), which calls the comparison by its type (callback.h).
#include "callback.h"

#define cmp(a, b) COMPARISON(cmp, a, b)

#include "../bsearch.c"
