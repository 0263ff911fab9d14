// SPDX-License-Identifier: GPL-2.0-only
/* User access of a worker that is bound to no U: every access faults. */
#include <linux/export.h>
#include <linux/uaccess.h>
#include <asm/machine.h>

static unsigned long no_copy_from(void *to, unsigned long from, unsigned long n)
{
	return n;
}

static unsigned long no_copy_to(unsigned long to, const void *from, unsigned long n)
{
	return n;
}

static unsigned long no_clear(unsigned long to, unsigned long n)
{
	return n;
}

static long no_string_copy(char *to, unsigned long from, unsigned long n)
{
	return -1;
}

static long no_string_length(unsigned long from, unsigned long n)
{
	return -1;
}

static int no_cmpxchg(unsigned long address, u32 expected, u32 value, u32 *old)
{
	return 1;
}

static int no_futex_op(int op, int argument, unsigned long address, int *old)
{
	return 1;
}

static unsigned long no_move(unsigned long to, unsigned long from, unsigned long n)
{
	return n;
}

static unsigned long no_pages(void)
{
	return 0;
}

static long no_grow(unsigned long pages)
{
	return -1;
}

/*
 * This must not be const: the compiler would then call these functions, and not
 * those that the engine has put into their slots of the function table.
 */
struct user_access user_access = {
	.copy_from	= no_copy_from,
	.copy_to	= no_copy_to,
	.clear		= no_clear,
	.string_copy	= no_string_copy,
	.string_length	= no_string_length,
	.compare_exchange = no_cmpxchg,
	.futex_op	= no_futex_op,
	.move		= no_move,
	.pages		= no_pages,
	.grow		= no_grow,
};
EXPORT_SYMBOL(user_access);
