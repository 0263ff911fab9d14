// SPDX-License-Identifier: MIT
// Upstream's lsearch() and lfind(), which call the comparison by its type
// (callback.h).
#include "callback.h"

#define compar(a, b) COMPARISON(compar, a, b)

#include "../lsearch.c"
