// SPDX-License-Identifier: MIT
// quick_exit() of upstream, with calls of the functions by their type (callback.h).
#include "callback.h"

#define func() CALLBACK(VOID_0, func)

#include "../at_quick_exit.c"
