/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this folder have of each other, and no others. */
#ifndef _WASM_KERNEL_INTERNAL_H
#define _WASM_KERNEL_INTERNAL_H

#include <linux/types.h>

struct auklet_cpu;
struct auklet_worker;
struct stop;

/* short_stop.c */
unsigned int busy_cpus(void);
void begin_stop(struct stop *stop);
void end_stop(struct stop *stop);
bool poll_word(struct stop *stop, const u32 *word, const u32 *pending);
void end_wait(struct auklet_cpu *cpu);

/* stacktrace.c */
void note_sleep(const struct auklet_worker *worker);
void answer_trace_request(const struct auklet_worker *worker);

#endif /* _WASM_KERNEL_INTERNAL_H */
