// SPDX-License-Identifier: GPL-2.0-only
/* Linked first: where every named data segment starts. See sections.h. */
#define SECTION(name, alignment, start, end)				\
	char start[0] __used __section(name) __aligned(alignment);
#include "sections.h"

/* Another name for the start of the per-CPU block. */
char __per_cpu_load[0] __used __section("percpu..first");

/*
 * The other symbols of a linker script. All are empty ranges: wasm code has no
 * sections, and init data stays.
 */
char _sinittext[0], _einittext[0], _text[0];
#ifndef CONFIG_KALLSYMS
/* link.sh counts the functions only for kallsyms: asm/sections.h. */
char (*wasm_text_start)[], (*wasm_text_end)[];
#endif
char __bss_start[0];
char __init_begin[0], __init_end[0], __nosave_begin[0], __nosave_end[0];
char __start_notes[0], __stop_notes[0];
char __irqentry_text_start[0], __irqentry_text_end[0];
char __softirqentry_text_start[0], __softirqentry_text_end[0];
char __noinstr_text_start[0], __noinstr_text_end[0];
char __cpuidle_text_start[0], __cpuidle_text_end[0];
char __sched_text_start[0], __sched_text_end[0];
char __lock_text_start[0], __lock_text_end[0];
