// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages of U a program may pass to a system call.
 *
 * wasm has no page protection, so the kernel's copies look here before they
 * touch U. Tables with two bits for each page take the place of page tables.
 * They are exact. Any context can read them without a lock, also where page
 * faults are disabled or the mmap_lock is held.
 *
 * Invariant: the bits of a page are what the flags of its area allow, and 0
 * where there is no area. To change an area, a task holds the mmap_lock for
 * writing, and it changes the bits before it gives the lock up. A table lives
 * until the mm has no user, so a reader never sees a freed one.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include "internal.h"

/* Pages that one table describes. */
#define TABLE_PAGES	(1UL << (ACCESS_TABLE_SHIFT - PAGE_SHIFT))

struct access_table {
	unsigned long readable[TABLE_PAGES / BITS_PER_LONG];
	unsigned long writable[TABLE_PAGES / BITS_PER_LONG];
};

/* The table of pages of which none is accessible. */
#define NO_ACCESS	((struct access_table *)empty_zero_page)

static unsigned long *bits_of(struct access_table *table, bool write)
{
	return write ? table->writable : table->readable;
}

/* Must come before the first area of a new mm. */
void wasm_init_access(struct mm_struct *mm)
{
	unsigned int i;

	BUILD_BUG_ON(sizeof(struct access_table) > PAGE_SIZE);
	for (i = 0; i < ACCESS_TABLES; i++)
		mm->context.access[i] = NO_ACCESS;
}

void wasm_free_access(struct mm_struct *mm)
{
	unsigned int i;

	for (i = 0; i < ACCESS_TABLES; i++)
		if (mm->context.access[i] != NO_ACCESS)
			free_page((unsigned long)mm->context.access[i]);
	wasm_init_access(mm);
}

/* Makes sure that wasm_set_access() of [@start, @end) will find its tables. */
int wasm_prepare_access(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long i, page;

	for (i = start >> ACCESS_TABLE_SHIFT; i <= (end - 1) >> ACCESS_TABLE_SHIFT; i++) {
		if (mm->context.access[i] != NO_ACCESS)
			continue;
		page = get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!page)
			return -ENOMEM;
		/* A reader that sees the table must see the zeros in it. */
		smp_store_release(&mm->context.access[i], (struct access_table *)page);
	}
	return 0;
}

static void set_bits(unsigned long *bits, unsigned long first, unsigned long count, bool value)
{
	if (value)
		bitmap_set(bits, first, count);
	else
		bitmap_clear(bits, first, count);
}

/*
 * Notes that an area with @vm_flags is at [@start, @end) from now on, or that
 * none is if @vm_flags is 0.
 */
void wasm_set_access(struct mm_struct *mm, unsigned long start, unsigned long end,
		     vm_flags_t vm_flags)
{
	unsigned long page = start >> PAGE_SHIFT, stop = end >> PAGE_SHIFT, part;
	struct access_table *table;

	for (; page < stop; page += part) {
		part = min(stop - page, TABLE_PAGES - page % TABLE_PAGES);
		table = mm->context.access[page / TABLE_PAGES];
		if (table == NO_ACCESS)
			continue;
		/* An MMU too lets a program read what it can write or run. */
		set_bits(table->readable, page % TABLE_PAGES, part, vm_flags & VM_ACCESS_FLAGS);
		set_bits(table->writable, page % TABLE_PAGES, part, vm_flags & VM_WRITE);
	}
}

/*
 * Returns how many of the @n bytes at @address the program of @mm may read (or
 * write) until the first one that it may not.
 */
static unsigned long reach_of_mm(struct mm_struct *mm, unsigned long address, unsigned long n,
				 bool write)
{
	unsigned long page = address >> PAGE_SHIFT, stop, first, last, bad;

	if (!n)
		return 0;
	/* Nothing lies behind the end of the address space. */
	n = min(n, -address ?: n);
	stop = ((address + n - 1) >> PAGE_SHIFT) + 1;
	while (page < stop) {
		first = page % TABLE_PAGES;
		last = min(first + stop - page, TABLE_PAGES);
		bad = find_next_zero_bit(bits_of(mm->context.access[page / TABLE_PAGES], write),
					 last, first);
		page += bad - first;
		if (bad < last)
			break;
	}
	return page >= stop ? n : max(page << PAGE_SHIFT, address) - address;
}

static noinline unsigned long reach_slowly(unsigned long address, unsigned long n, bool write)
{
	/* The kernel fills a mapping for itself: mmap.c. */
	if (current->thread.ignores_access)
		return n;
	return current->mm ? reach_of_mm(current->mm, address, n, write) : 0;
}

/*
 * reach_of_mm() for the current program. This is the fast path: nearly all
 * copies lie in one page.
 */
static __always_inline unsigned long reach(unsigned long address, unsigned long n, bool write)
{
	struct mm_struct *mm = current->mm;
	unsigned long page = address >> PAGE_SHIFT;

	if (likely((address + n - 1) >> PAGE_SHIFT == page && mm) &&
	    likely(test_bit(page % TABLE_PAGES,
			    bits_of(mm->context.access[page / TABLE_PAGES], write))))
		return n;
	return reach_slowly(address, n, write);
}

unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n)
{
	unsigned long inside = reach((unsigned long)from, n, false);

	return user_access.copy_from(to, (unsigned long)from, inside) + n - inside;
}
EXPORT_SYMBOL(raw_copy_from_user);

unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n)
{
	unsigned long inside = reach((unsigned long)to, n, true);

	return user_access.copy_to((unsigned long)to, from, inside) + n - inside;
}
EXPORT_SYMBOL(raw_copy_to_user);

unsigned long __clear_user(void __user *to, unsigned long n)
{
	unsigned long inside = reach((unsigned long)to, n, true);

	return user_access.clear((unsigned long)to, inside) + n - inside;
}
EXPORT_SYMBOL(__clear_user);

long strncpy_from_user(char *to, const char __user *from, long count)
{
	unsigned long inside;
	long length;

	might_fault();
	if (count <= 0)
		return 0;
	if (!access_ok(from, 1))
		return -EFAULT;
	inside = reach((unsigned long)from, count, false);
	length = user_access.string_copy(to, (unsigned long)from, inside);
	/*
	 * A string without end in @inside bytes faults, unless these are all.
	 */
	return length < 0 || (length == inside && inside < count) ? -EFAULT : length;
}
EXPORT_SYMBOL(strncpy_from_user);

long strnlen_user(const char __user *from, long count)
{
	unsigned long inside;
	long length;

	might_fault();
	if (count <= 0 || !access_ok(from, 1))
		return 0;
	inside = reach((unsigned long)from, count, false);
	length = user_access.string_length((unsigned long)from, inside);
	return length < 0 || (length == inside && inside < count) ? 0 : length + 1;
}
EXPORT_SYMBOL(strnlen_user);

/*
 * These change a word of the current program, as the functions of user_access
 * do. They return -EFAULT if the program may not write to it.
 */
int wasm_user_compare_exchange(u32 __user *word, u32 expected, u32 value, u32 *old)
{
	if (reach((unsigned long)word, sizeof(*word), true) < sizeof(*word))
		return -EFAULT;
	return user_access.compare_exchange((unsigned long)word, expected, value, old) ?
		-EFAULT : 0;
}

int wasm_user_futex_op(int op, int argument, u32 __user *word, int *old)
{
	if (reach((unsigned long)word, sizeof(*word), true) < sizeof(*word))
		return -EFAULT;
	return user_access.futex_op(op, argument, (unsigned long)word, old) ? -EFAULT : 0;
}
