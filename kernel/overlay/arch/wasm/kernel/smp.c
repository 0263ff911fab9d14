// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parallel CPUs. Each has a worker of its own, which the host starts with the
 * machine.
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/of.h>
#include <linux/profile.h>
#include <linux/sched.h>
#include <linux/sched/hotplug.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/irq_work.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>

/*
 * The idle task of a CPU that is being brought up. Until it is there, the CPU's
 * worker sleeps on auklet_cpu.pending.
 */
static u32 boot_idle_task[NR_CPUS];
static DECLARE_COMPLETION(cpu_is_up);

void wasm_raise_interrupt(unsigned int number, u32 bits)
{
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];

	/*
	 * The order is the invariant of entry.c: raise the bit before reading
	 * the state.
	 */
	word_or(&cpu->pending, bits);
	if (word_load(&cpu->state) != AUKLET_CPU_KERNEL)
		futex_wake_word(&cpu->pending, 1);
}

void arch_smp_send_reschedule(int cpu)
{
	wasm_raise_interrupt(cpu, AUKLET_IRQ_RESCHEDULE);
}

void arch_send_call_function_single_ipi(int cpu)
{
	wasm_raise_interrupt(cpu, AUKLET_IRQ_CALL);
}

void arch_send_call_function_ipi_mask(const struct cpumask *mask)
{
	int cpu;

	for_each_cpu(cpu, mask)
		wasm_raise_interrupt(cpu, AUKLET_IRQ_CALL);
}

#ifdef CONFIG_IRQ_WORK
void arch_irq_work_raise(void)
{
	wasm_raise_interrupt(smp_processor_id(), AUKLET_IRQ_WORK);
}
#endif

static void stop_this_cpu(void *unused)
{
	set_cpu_online(smp_processor_id(), false);
	local_irq_disable();
	wasm_stop_cpu_forever();
}

void smp_send_stop(void)
{
	smp_call_function(stop_this_cpu, NULL, 0);
}

void __init smp_prepare_boot_cpu(void)
{
	wasm_set_cpu_globals(0);
}

void __init wasm_setup_smp(void)
{
	struct device_node *node;
	u32 cpu;

	for_each_of_cpu_node(node) {
		if (of_property_read_u32(node, "reg", &cpu) || cpu >= NR_CPUS)
			continue;
		set_cpu_possible(cpu, true);
	}
}

void __init smp_prepare_cpus(unsigned int max_cpus)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (cpu < max_cpus)
			set_cpu_present(cpu, true);
}

int __cpu_up(unsigned int cpu, struct task_struct *idle)
{
	reinit_completion(&cpu_is_up);
	word_store(&boot_idle_task[cpu], (u32)idle);
	word_or(&auklet_machine.cpu[cpu].pending, AUKLET_IRQ_REARM);
	futex_wake_word(&auklet_machine.cpu[cpu].pending, 1);
	wait_for_completion(&cpu_is_up);
	return 0;
}

void __init smp_cpus_done(unsigned int max_cpus)
{
}

static void __noreturn secondary_start(void)
{
	unsigned int cpu = smp_processor_id();

	mmgrab(&init_mm);
	current->active_mm = &init_mm;
	notify_cpu_starting(cpu);
	set_cpu_online(cpu, true);
	wasm_setup_clock_event();
	complete(&cpu_is_up);
	local_irq_enable();
	cpu_startup_entry(CPUHP_AP_ONLINE_IDLE);
	unreachable();
}

/*
 * The worker of CPU @cpu calls this when it starts. It becomes that CPU when
 * CPU 0 brings the CPU up.
 */
void wasm_secondary_cpu(u32 cpu)
{
	struct task_struct *idle;
	u32 pending;

	if (cpu == 0 || cpu >= NR_CPUS)
		return;
	/* __cpu_up() stores the task first and then changes pending. */
	for (;;) {
		pending = word_load(&auklet_machine.cpu[cpu].pending);
		if (word_load(&boot_idle_task[cpu]))
			break;
		futex_wait_word(&auklet_machine.cpu[cpu].pending, pending, -1);
	}
	idle = (struct task_struct *)boot_idle_task[cpu];
	set_wasm_home_cpu(cpu + 1);
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	set_wasm_current((unsigned long)idle);
	set___stack_pointer((unsigned long)task_pt_regs(idle));
	wasm_set_cpu_globals(cpu);
	secondary_start();
}
