// SPDX-License-Identifier: MIT
// glob() of upstream, with calls of the function for errors by its type (callback.h).
#include "callback.h"

#define errfunc(path, error) CALLBACK2(WORD_2, errfunc, path, error)

#include "../glob.c"
