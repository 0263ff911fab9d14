// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/status and statm say about a process's memory. The kernel
 * never takes a page of U from its program, so all that is mapped is resident.
 */
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

/* As in fs/proc/internal.h, which cannot be included from here. */
void task_mem(struct seq_file *m, struct mm_struct *mm);
unsigned long task_statm(struct mm_struct *mm, unsigned long *shared, unsigned long *text,
			 unsigned long *data, unsigned long *resident);

static void show(struct seq_file *m, const char *name, unsigned long pages)
{
	seq_printf(m, "%s:\t%8lu kB\n", name, pages << (PAGE_SHIFT - 10));
}

/* Counts the mapped pages of files, and in *@shared those that are shared. */
static unsigned long count_files(struct mm_struct *mm, unsigned long *shared)
{
	struct vm_area_struct *vma;
	unsigned long files = 0;

	VMA_ITERATOR(areas, mm, 0);

	*shared = 0;
	mmap_read_lock(mm);
	for_each_vma(areas, vma) {
		if (!vma->vm_file)
			continue;
		files += vma_pages(vma);
		if (vma->vm_flags & VM_MAYSHARE)
			*shared += vma_pages(vma);
	}
	mmap_read_unlock(mm);
	return files;
}

void task_mem(struct seq_file *m, struct mm_struct *mm)
{
	unsigned long total = READ_ONCE(mm->total_vm);
	unsigned long peak = max(mm->hiwater_vm, total);
	unsigned long shared;
	unsigned long files = count_files(mm, &shared);

	show(m, "VmPeak", peak);
	show(m, "VmSize", total);
	show(m, "VmLck", 0);
	show(m, "VmPin", 0);
	show(m, "VmHWM", peak);
	show(m, "VmRSS", total);
	show(m, "RssAnon", total - min(files, total));
	show(m, "RssFile", files);
	show(m, "RssShmem", 0);
	show(m, "VmData", mm->data_vm);
	show(m, "VmStk", mm->stack_vm);
	show(m, "VmExe", mm->exec_vm);
	show(m, "VmLib", 0);
	show(m, "VmPTE", 0);
	show(m, "VmSwap", 0);
}

unsigned long task_statm(struct mm_struct *mm, unsigned long *shared, unsigned long *text,
			 unsigned long *data, unsigned long *resident)
{
	unsigned long total = READ_ONCE(mm->total_vm);

	*shared = count_files(mm, resident);
	*text = mm->exec_vm;
	*data = mm->data_vm + mm->stack_vm;
	*resident = total;
	return total;
}
