// SPDX-License-Identifier: MIT
#include "quad.h"
#include "ld128/s_tanhl.c"
