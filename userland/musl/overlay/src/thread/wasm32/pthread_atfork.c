// SPDX-License-Identifier: MIT
// Upstream's pthread_atfork(), which calls the functions by their type
// (callback.h).
#include <pthread.h>
#include "callback.h"

/* Upstream calls members, so these texts follow "p->". */
#define prepare() prepare ? CALLBACK(VOID_0, p->prepare) : 0
#define parent() parent ? CALLBACK(VOID_0, p->parent) : 0
#define child() child ? CALLBACK(VOID_0, p->child) : 0

#include "../pthread_atfork.c"
