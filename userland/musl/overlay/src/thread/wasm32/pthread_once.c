// SPDX-License-Identifier: MIT
// Upstream's pthread_once(), which calls the function by its type (callback.h).
#include "pthread_impl.h"
#include "callback.h"

#define init() CALLBACK(VOID_0, init)

#include "../pthread_once.c"
