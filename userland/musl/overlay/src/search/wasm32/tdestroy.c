// SPDX-License-Identifier: MIT
// Upstream's tdestroy(), which calls the destructor by its type (callback.h).
#include "callback.h"

#define freekey(key) CALLBACK1(VOID_1, freekey, key)

#include "../tdestroy.c"
