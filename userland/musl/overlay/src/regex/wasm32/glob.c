// SPDX-License-Identifier: MIT
// Upstream's glob(), which calls the function for errors by its type
// (callback.h).
#include "callback.h"

#define errfunc(path, error) CALLBACK2(WORD_2, errfunc, path, error)

#include "../glob.c"
