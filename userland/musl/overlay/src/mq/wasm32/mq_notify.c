// SPDX-License-Identifier: MIT
// Upstream's mq_notify(), which calls the notification by its type
// (callback.h).
#include "callback.h"

#define func(value) CALLBACK1(VOID_1, func, &value)

#include "../mq_notify.c"
