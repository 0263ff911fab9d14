// SPDX-License-Identifier: GPL-2.0-only
/* The interrupt controller: one word of device lines, which the host raises. */
#include <linux/init.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <asm/machine.h>

static struct irq_domain *line_domain;

static void line_nothing(struct irq_data *data)
{
	/* Delivery clears the bit of a line, so a line cannot storm. */
}

static struct irq_chip line_chip = {
	.name		= "auklet",
	.irq_mask	= line_nothing,
	.irq_unmask	= line_nothing,
};

static int line_map(struct irq_domain *domain, unsigned int irq, irq_hw_number_t line)
{
	irq_set_chip_and_handler(irq, &line_chip, handle_simple_irq);
	return 0;
}

static const struct irq_domain_ops line_domain_ops = {
	.map	= line_map,
	.xlate	= irq_domain_xlate_onecell,
};

void wasm_device_interrupt(void)
{
	unsigned long lines = word_exchange(&auklet_machine.interrupt_lines, 0);
	unsigned int line;

	if (lines & BIT(AUKLET_LINE_POOLS)) {
		lines &= ~BIT(AUKLET_LINE_POOLS);
		wasm_pools_interrupt();
	}
	if (lines & BIT(AUKLET_LINE_CLOCK)) {
		lines &= ~BIT(AUKLET_LINE_CLOCK);
		wasm_wall_clock_interrupt();
	}
	for_each_set_bit(line, &lines, AUKLET_MAX_DEVICES)
		generic_handle_domain_irq(line_domain, line);
}

void __init init_IRQ(void)
{
	struct device_node *node;

	node = of_find_compatible_node(NULL, NULL, "auklet,interrupt-controller");
	if (!node)
		panic("the device tree has no interrupt controller");
	line_domain = irq_domain_add_linear(node, AUKLET_MAX_DEVICES, &line_domain_ops, NULL);
	if (!line_domain)
		panic("no memory for the interrupt controller");
	irq_set_default_host(line_domain);
	of_node_put(node);
}
