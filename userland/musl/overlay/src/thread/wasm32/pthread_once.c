// SPDX-License-Identifier: MIT
// pthread_once() of upstream, with the call of the function by its type (callback.h).
#include "pthread_impl.h"
#include "callback.h"

#define init() CALLBACK(VOID_0, init)

#include "../pthread_once.c"
