// SPDX-License-Identifier: GPL-2.0-only
/* The end of the machine: power off, restart, and how CPUs and workers stop. */
#include <linux/irqflags.h>
#include <linux/pm.h>
#include <linux/reboot.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>

/*
 * Unwinds this worker to its base for good, out of whatever kernel code and
 * program are on its stack.
 */
void __noreturn wasm_leave_machine(void)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();

	if (worker)
		worker->leave = AUKLET_LEAVE_STOP;
	__builtin_trap();
}

/*
 * This CPU does nothing any more. Its worker leaves when the host has heard of
 * the end of the machine.
 */
void __noreturn wasm_stop_cpu_forever(void)
{
	u32 *word = &auklet_machine.cpu[0].pending;

	for (;;)
		futex_wait_word(word, word_load(word), -1);
}

void machine_power_off(void)
{
	engine_halt(AUKLET_HALT_POWER_OFF);
	local_irq_disable();
	wasm_stop_cpu_forever();
}

void machine_halt(void)
{
	machine_power_off();
}

void machine_restart(char *command)
{
	engine_halt(AUKLET_HALT_RESTART);
	local_irq_disable();
	wasm_stop_cpu_forever();
}

void (*pm_power_off)(void) = machine_power_off;
