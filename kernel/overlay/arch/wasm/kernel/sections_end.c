// SPDX-License-Identifier: GPL-2.0-only
/* Linked last: where every named data segment ends. See sections.h. */
#define SECTION(name, alignment, start, end)				\
	char end[0] __used __section(name);
#include "sections.h"

char __bss_stop[0];
