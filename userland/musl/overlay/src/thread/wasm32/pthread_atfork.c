// SPDX-License-Identifier: MIT
// pthread_atfork() of upstream, with calls of the functions by their type (callback.h).
#include <pthread.h>
#include "callback.h"

/* The call is of a member, so that these stand behind "p->". */
#define prepare() prepare ? CALLBACK(VOID_0, p->prepare) : 0
#define parent() parent ? CALLBACK(VOID_0, p->parent) : 0
#define child() child ? CALLBACK(VOID_0, p->child) : 0

#include "../pthread_atfork.c"
