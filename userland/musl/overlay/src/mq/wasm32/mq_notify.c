// SPDX-License-Identifier: MIT
// mq_notify() of upstream, with the call of the notification by its type (callback.h).
#include "callback.h"

#define func(value) CALLBACK1(VOID_1, func, &value)

#include "../mq_notify.c"
