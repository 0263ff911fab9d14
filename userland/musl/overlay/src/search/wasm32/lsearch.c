// SPDX-License-Identifier: MIT
// lsearch() and lfind() of upstream, with calls of the comparison by its type (callback.h).
#include "callback.h"

#define compar(a, b) COMPARISON(compar, a, b)

#include "../lsearch.c"
