// SPDX-License-Identifier: MIT
// tdelete() of upstream, with calls of the comparison by its type (callback.h).
#include "callback.h"

#define cmp(a, b) COMPARISON(cmp, a, b)

#include "../tdelete.c"
