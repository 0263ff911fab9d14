// SPDX-License-Identifier: MIT
#include "quad.h"
#include "ld128/e_log2l.c"
