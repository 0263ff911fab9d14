// SPDX-License-Identifier: MIT
// Upstream's quick_exit(), which calls the functions by their type
// (callback.h).
#include "callback.h"

#define func() CALLBACK(VOID_0, func)

#include "../at_quick_exit.c"
