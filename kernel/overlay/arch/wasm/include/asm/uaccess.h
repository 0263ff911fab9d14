/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * U is another wasm memory, which C cannot name. A small module that is bound
 * to K and to one U has functions for the accesses. A kernel instance calls
 * them through its function table. engine_bind_memory() refills their slots
 * when the worker takes a task with another U.
 */
#ifndef _ASM_WASM_UACCESS_H
#define _ASM_WASM_UACCESS_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/page.h>

/*
 * The engine knows the order and meaning of these functions too:
 * docs/abi-engine.md, "User access".
 */
struct user_access {
	/*
	 * The copies return the number of bytes not copied. They copy all that
	 * lies in U: callers that know the first bytes to be there rely on it.
	 */
	unsigned long (*copy_from)(void *to, unsigned long from, unsigned long n);
	unsigned long (*copy_to)(unsigned long to, const void *from, unsigned long n);
	unsigned long (*clear)(unsigned long to, unsigned long n);
	/*
	 * Both return the length without the terminator, @n if @n bytes have no
	 * terminator, or -1 for a fault.
	 */
	long (*string_copy)(char *to, unsigned long from, unsigned long n);
	long (*string_length)(unsigned long from, unsigned long n);
	/* Both return 0, or 1 for a fault. *old gets the word's old value. */
	int (*compare_exchange)(unsigned long address, u32 expected, u32 value, u32 *old);
	int (*futex_op)(int op, int argument, unsigned long address, int *old);
	/*
	 * Moves bytes within U. The ranges may overlap. Returns the number of
	 * bytes not moved: 0 or all.
	 */
	unsigned long (*move)(unsigned long to, unsigned long from, unsigned long n);
	/* Returns the size of U in 64 KiB pages. */
	unsigned long (*pages)(void);
	/* Adds @pages. Returns the size before, or -1. */
	long (*grow)(unsigned long pages);
};

/*
 * The pointers are table indexes, the same in every instance. Each worker has
 * functions of its own there. They check the size of U but no protection: the
 * kernel uses them for its own work on the contents of areas.
 */
extern struct user_access user_access;

/* These obey the protection of the program's areas: mm/access.c. */
unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long __clear_user(void __user *to, unsigned long n);
#define __clear_user __clear_user
int wasm_user_compare_exchange(u32 __user *word, u32 expected, u32 value, u32 *old);
int wasm_user_futex_op(int op, int argument, u32 __user *word, int *old);

/*
 * The functions above find out all else. But the first page of U exists: it is
 * the end of the stack. No object may lie there, so that an access through a
 * null pointer faults.
 */
static inline int __access_ok(const void __user *address, unsigned long size)
{
	return !size || (unsigned long)address >= PAGE_SIZE;
}

#define __access_ok __access_ok

#include <asm-generic/uaccess.h>

/* All of K exists, so an access to a valid address cannot fault. */
#define __get_kernel_nofault(dst, src, type, err_label)			\
do {									\
	if (!virt_addr_valid(src))					\
		goto err_label;						\
	memcpy((dst), (src), sizeof(type));				\
} while (0)

#define __put_kernel_nofault(dst, src, type, err_label)			\
do {									\
	if (!virt_addr_valid(dst))					\
		goto err_label;						\
	memcpy((dst), (src), sizeof(type));				\
} while (0)

#endif /* _ASM_WASM_UACCESS_H */
