// SPDX-License-Identifier: MIT
// Upstream's thread-specific data, whose destructors are called by their type
// (callback.h).
#include "pthread_impl.h"
#include "callback.h"

#define dtor(value) CALLBACK1(VOID_1, dtor, value)

#include "../pthread_key_create.c"
