// SPDX-License-Identifier: MIT
// Upstream's scandir(), which calls the selection by its type (callback.h).
#include "callback.h"

#define sel(entry) CALLBACK1(WORD_1, sel, entry)

#include "../scandir.c"
