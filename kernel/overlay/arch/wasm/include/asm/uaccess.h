/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory is another wasm memory, which C cannot name. The accesses are
 * functions of a small module that is bound to K and to one U. A kernel
 * instance reaches them through its function table, whose slots its worker
 * refills when it takes a task of another U (engine_bind_memory).
 */
#ifndef _ASM_WASM_UACCESS_H
#define _ASM_WASM_UACCESS_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/page.h>

/* Order and meaning are shared with the host: docs/abi-engine.md, "User access". */
struct user_access {
	/* Bytes not copied. What lies in U is copied: callers that know the first bytes to be there rely on it. */
	unsigned long (*copy_from)(void *to, unsigned long from, unsigned long n);
	unsigned long (*copy_to)(unsigned long to, const void *from, unsigned long n);
	unsigned long (*clear)(unsigned long to, unsigned long n);
	/* Length without the terminator, @n if there is none in @n bytes, or -1 for a fault. */
	long (*string_copy)(char *to, unsigned long from, unsigned long n);
	long (*string_length)(unsigned long from, unsigned long n);
	/* 0, or 1 for a fault; the word's old value in *old. */
	int (*compare_exchange)(unsigned long address, u32 expected, u32 value, u32 *old);
	int (*futex_op)(int op, int argument, unsigned long address, int *old);
	/* Within U; ranges may overlap. Bytes not moved: 0 or all. */
	unsigned long (*move)(unsigned long to, unsigned long from, unsigned long n);
	/* Size of U in 64 KiB pages; the size before, or -1. */
	unsigned long (*pages)(void);
	long (*grow)(unsigned long pages);
};

/*
 * Table indexes, the same in every instance; what they call is per worker. These know the size of U, but no protection:
 * for what the kernel itself does to the contents of areas.
 */
extern struct user_access user_access;

/* These go by the protection of the program's areas: mm/access.c. */
unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long __clear_user(void __user *to, unsigned long n);
#define __clear_user __clear_user
int wasm_user_compare_exchange(u32 __user *word, u32 expected, u32 value, u32 *old);
int wasm_user_futex_op(int op, int argument, u32 __user *word, int *old);

/*
 * The rest is for the functions above to find out. But the first page of U exists, as the end of the stack: no object
 * may be there, so that a null pointer faults as everywhere.
 */
static inline int __access_ok(const void __user *address, unsigned long size)
{
	return !size || (unsigned long)address >= PAGE_SIZE;
}
#define __access_ok __access_ok

#include <asm-generic/uaccess.h>

/* K has no holes below its end. */
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
