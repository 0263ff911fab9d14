// SPDX-License-Identifier: MIT
// Upstream's cleanup handlers, which are called by their type (callback.h).
#include "pthread_impl.h"
#include "callback.h"

/* Upstream calls a member, so this text follows "cb->". */
#define __f(argument) __f ? CALLBACK1(VOID_1, cb->__f, argument) : 0

#include "../pthread_cleanup_push.c"
