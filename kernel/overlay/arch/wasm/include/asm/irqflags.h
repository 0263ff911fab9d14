/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt flag is a wasm global of the executing instance. Interrupts are
 * bits in the CPU's pending word. Enabling interrupts also polls that word.
 */
#ifndef _ASM_WASM_IRQFLAGS_H
#define _ASM_WASM_IRQFLAGS_H

#include <asm/globals.h>

/* Takes the interrupts pending on this CPU. The caller has set the flag. */
void wasm_poll_interrupts(void);

#define ARCH_IRQ_DISABLED	0
#define ARCH_IRQ_ENABLED	1

static __always_inline unsigned long arch_local_save_flags(void)
{
	return get_wasm_irqs_enabled();
}

#define arch_local_save_flags arch_local_save_flags

static __always_inline void arch_local_irq_disable(void)
{
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
}

#define arch_local_irq_disable arch_local_irq_disable

static __always_inline void arch_local_irq_enable(void)
{
	set_wasm_irqs_enabled(ARCH_IRQ_ENABLED);
	wasm_poll_interrupts();
}

#define arch_local_irq_enable arch_local_irq_enable

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = arch_local_save_flags();

	arch_local_irq_disable();
	return flags;
}

#define arch_local_irq_save arch_local_irq_save

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	if (flags != ARCH_IRQ_DISABLED)
		arch_local_irq_enable();
	else
		arch_local_irq_disable();
}

#define arch_local_irq_restore arch_local_irq_restore

#include <asm-generic/irqflags.h>

#endif /* _ASM_WASM_IRQFLAGS_H */
