// SPDX-License-Identifier: MIT
// Upstream's twalk(), which calls the action by its type (callback.h).
#include "callback.h"

#define action(node, visit, depth) CALLBACK3(VOID_3, action, node, visit, depth)

#include "../twalk.c"
