// SPDX-License-Identifier: MIT
// Upstream's nftw(), which calls the function for each file by its type
// (callback.h).
#include "callback.h"

#define fn(path, status, type, level) CALLBACK4(WORD_4, fn, path, status, type, level)

#include "../nftw.c"
