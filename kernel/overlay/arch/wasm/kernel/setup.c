// SPDX-License-Identifier: GPL-2.0-only
/*
 * The start of the kernel, from wasm_boot_cpu() to start_kernel(), and what
 * start_kernel() asks of an architecture.
 */
#include <linux/console.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/libfdt.h>
#include <linux/of_fdt.h>
#include <linux/panic_notifier.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/start_kernel.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include <asm/sections.h>

unsigned long memory_end;
EXPORT_SYMBOL(memory_end);
unsigned char empty_zero_page[PAGE_SIZE] __page_aligned_bss;
EXPORT_SYMBOL(empty_zero_page);

static void *device_tree;

static void early_console_write(struct console *console, const char *text, unsigned int length)
{
	engine_console_write(text, length);
}

static struct console early_host_console = {
	.name	= "host",
	.write	= early_console_write,
	.flags	= CON_PRINTBUFFER | CON_BOOT | CON_ANYTIME,
	.index	= -1,
};

/*
 * With "earlycon" on the command line, the log goes through the engine until
 * the virtio console takes over.
 */
static int __init setup_early_console(char *unused)
{
	/* The kernel calls this for "earlycon" and for each "console=". */
	if (early_host_console.flags & CON_ENABLED)
		return 0;
	register_console(&early_host_console);
	return 0;
}
early_param("earlycon", setup_early_console);

void __init setup_arch(char **cmdline)
{
	if (!early_init_dt_scan(device_tree, __pa(device_tree)))
		panic("the host gave no device tree");
	memory_end = memblock_end_of_DRAM();
	/* This includes address 0, where no object may lie. */
	memblock_reserve(0, PAGE_ALIGN((unsigned long)_end));
	memblock_reserve(__pa(device_tree), fdt_totalsize(device_tree));
	reserve_initrd_mem();
	early_init_fdt_scan_reserved_mem();

	*cmdline = boot_command_line;
	parse_early_param();

	min_low_pfn = 0;
	max_low_pfn = PFN_DOWN(memory_end);
	max_pfn = max_low_pfn;
	high_memory = (void *)memory_end;
	unflatten_device_tree();
	wasm_setup_smp();

	{
		unsigned long max_zone_pfn[MAX_NR_ZONES] = { [ZONE_NORMAL] = max_low_pfn };

		free_area_init(max_zone_pfn);
	}
}

void __init mem_init(void)
{
	memblock_free_all();
}

/* The init sections lie between data that stays: sections.h. */
void free_initmem(void)
{
}

/*
 * Code lies outside of every memory, so nothing can write to it. Data has no
 * protection in wasm.
 */
void mark_rodata_ro(void)
{
}

static int show_cpuinfo(struct seq_file *m, void *v)
{
	unsigned long cpu = (unsigned long)v - 1;

	seq_printf(m, "processor\t: %lu\n", cpu);
	seq_puts(m, "vendor_id\t: Auklet\n"
		    "model name\t: WebAssembly\n"
		    "features\t: atomics bulk-memory mutable-globals sign-ext nontrapping-fptoint exception-handling\n\n");
	return 0;
}

static void *cpuinfo_start(struct seq_file *m, loff_t *pos)
{
	*pos = cpumask_next(*pos - 1, cpu_online_mask);
	return *pos < nr_cpu_ids ? (void *)(unsigned long)(*pos + 1) : NULL;
}

static void *cpuinfo_next(struct seq_file *m, void *v, loff_t *pos)
{
	(*pos)++;
	return cpuinfo_start(m, pos);
}

static void cpuinfo_stop(struct seq_file *m, void *v)
{
}

const struct seq_operations cpuinfo_op = {
	.start	= cpuinfo_start,
	.next	= cpuinfo_next,
	.stop	= cpuinfo_stop,
	.show	= show_cpuinfo,
};

static int panic_reached(struct notifier_block *block, unsigned long event, void *unused)
{
	engine_halt(AUKLET_HALT_PANIC);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = {
	.notifier_call	= panic_reached,
	.priority	= INT_MIN,
};

static int __init register_panic_notifier(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}
early_initcall(register_panic_notifier);

/*
 * Ends the machine if the host has another version of uapi/asm/host.h: nothing
 * in K that both use can be trusted then.
 */
static void check_version(void)
{
	char text[100];
	int length;

	if (auklet_machine.version == AUKLET_ABI_VERSION)
		return;
	length = scnprintf(text, sizeof(text),
			   "The kernel (version %u) does not fit its host (version %u).\n",
			   AUKLET_ABI_VERSION, auklet_machine.version);
	engine_console_write(text, length);
	engine_halt(AUKLET_HALT_PANIC);
	wasm_stop_cpu_forever();
}

/* CPU 0's worker calls this once, with the address of the device tree in K. */
void wasm_boot_cpu(void *dtb)
{
	unsigned int cpu;

	set_wasm_home_cpu(1);
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	set_wasm_current((unsigned long)&init_task);
	set___stack_pointer((unsigned long)(init_stack + ARRAY_SIZE(init_stack)) -
			    sizeof(struct pt_regs));
	set_wasm_cpu(0);
	check_version();
	device_tree = dtb;
	for (cpu = 0; cpu < AUKLET_MAX_CPUS; cpu++) {
		auklet_machine.cpu[cpu].deadline = AUKLET_NO_DEADLINE;
		auklet_machine.cpu[cpu].armed = AUKLET_NO_DEADLINE;
	}
	auklet_machine.task = (struct auklet_task_layout) {
		.pid = offsetof(struct task_struct, pid),
		.name = offsetof(struct task_struct, comm),
		.stack = offsetof(struct task_struct, stack),
		.system_call = THREAD_SIZE - sizeof(struct pt_regs) +
			       offsetof(struct pt_regs, syscall_nr),
	};
	wasm_start_clock();
	start_kernel();
}
