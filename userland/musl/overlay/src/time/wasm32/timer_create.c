// SPDX-License-Identifier: MIT
// Upstream's timer_create(), which calls the notification by its type
// (callback.h).
#include <time.h>
#include <setjmp.h>
#include <limits.h>
#include "pthread_impl.h"
#include "callback.h"

#define notify(value) CALLBACK1(VOID_1, notify, &value)

#include "../timer_create.c"
