// SPDX-License-Identifier: MIT
// Cleanup handlers of upstream, with calls by their type (callback.h).
#include "pthread_impl.h"
#include "callback.h"

/* The call is of a member, so that these stand behind "cb->". */
#define __f(argument) __f ? CALLBACK1(VOID_1, cb->__f, argument) : 0

#include "../pthread_cleanup_push.c"
