/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SMP_H
#define _ASM_WASM_SMP_H

#include <linux/types.h>
#include <asm/globals.h>

#define raw_smp_processor_id()	((int)get_wasm_cpu())

struct cpumask;

void arch_send_call_function_single_ipi(int cpu);
void arch_send_call_function_ipi_mask(const struct cpumask *mask);

/* Makes this worker act as @cpu. */
void wasm_set_cpu_globals(unsigned int cpu);

/*
 * Sets @bits in the pending word of @cpu. Wakes the CPU's own worker unless the
 * CPU executes kernel code, which polls the word.
 */
void wasm_raise_interrupt(unsigned int cpu, u32 bits);

#endif /* _ASM_WASM_SMP_H */
