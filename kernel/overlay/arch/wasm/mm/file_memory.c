// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory files may take.
 *
 * The mounts of tmpfs share one memory. Nothing can be swapped, and a program's
 * memory is not the kernel's. If files took all memory, the OOM killer would
 * kill all programs, and none would give any back. So files leave a part of it
 * free, whatever their mounts allow.
 */
#include <linux/mm.h>
#include <linux/vmstat.h>
#include <asm/file_memory.h>

/* Files leave one part in RESERVE of all memory free. */
#define RESERVE		8

unsigned long arch_pages_for_files(void)
{
	/*
	 * si_mem_available() would count slabs too, but the names and inodes in
	 * them stay.
	 */
	unsigned long available = global_zone_page_state(NR_FREE_PAGES) +
				  global_node_page_state(NR_ACTIVE_FILE) +
				  global_node_page_state(NR_INACTIVE_FILE);
	unsigned long reserve = totalram_pages() / RESERVE;

	return available > reserve ? available - reserve : 0;
}
