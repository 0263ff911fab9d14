// SPDX-License-Identifier: GPL-2.0-only
/*
 * The image of a program in U, and the part of its stack that it never used.
 *
 * exec gives a program a memory that another one may have had. Everything in it
 * must be zero. To clear a whole main stack of 8 MiB would take longer than all
 * the rest, and memory of the computer: most of a stack is never used. So a
 * program keeps the address below which it has not used its stack in a word of
 * its own (docs/abi-programs.md, "Memory and start"), and the kernel trusts
 * that.
 *
 * A program that lies leaves its bytes to others, where they have no objects: a
 * program whose stack becomes longer clears that part itself.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/string.h>
#include <asm/machine.h>
#include "internal.h"

/* The stack of the program that a memory has, or had last. */
static struct main_stack main_stacks[AUKLET_MAX_MEMORIES];

struct main_stack *wasm_main_stack_of(int id)
{
	return &main_stacks[id];
}

/*
 * Reads a word of the bound memory. Nobody is protected from this: exec's new
 * mm has no areas yet, and get_user() would find nothing accessible.
 */
bool wasm_read_word(u32 *value, unsigned long address)
{
	return !user_access.copy_from(value, address, sizeof(*value));
}

/*
 * Up to where bound memory @id was not used since it was cleared, as its last
 * program says.
 */
unsigned long wasm_unused_stack(int id)
{
	const struct main_stack *stack = &main_stacks[id];
	u32 limit;

	if (!stack->limit || !wasm_read_word(&limit, stack->limit))
		return 0;
	return min(limit, stack->top) & PAGE_MASK;
}

/*
 * Clears bound memory up to @have. What is below @unused is zero already, but
 * for what was stored through null pointers.
 */
static int clear_memory(unsigned long unused, unsigned long have)
{
	u64 part[32];
	unsigned long at;

	for (at = 0; at < min(unused, PAGE_SIZE); at += sizeof(part)) {
		if (user_access.copy_from(part, at, sizeof(part)))
			return -EFAULT;
		if (memchr_inv(part, 0, sizeof(part)))
			break;
	}
	if (at < min(unused, PAGE_SIZE) && user_access.clear(0, PAGE_SIZE))
		return -EFAULT;
	return user_access.clear(unused, have - unused) ? -EFAULT : 0;
}

/*
 * exec: maps the static memory of a module, [0, @image_end), and @arguments
 * bytes behind it for the argument block; the break and the mappings follow.
 */
int wasm_map_image(struct mm_struct *mm, unsigned long image_end, unsigned long arguments,
		   const struct main_stack *stack)
{
	unsigned long unused = 0;
	unsigned long block_end = image_end + PAGE_ALIGN(arguments);
	unsigned long have = user_access.pages() << WASM_PAGE_SHIFT;
	struct vm_area_struct *vma;

	/*
	 * Where another program has not used its stack, only a stack may lie.
	 */
	if (stack->limit)
		unused = min(wasm_unused_stack(mm->context.memory), stack->top & PAGE_MASK);
	if (block_end < image_end || clear_memory(min(unused, have), have) ||
	    wasm_grow_memory(mm, block_end))
		return -ENOMEM;
	main_stacks[mm->context.memory] = *stack;
	mmap_write_lock(mm);
	vma = wasm_add_area(mm, 0, image_end, VM_DATA_DEFAULT_FLAGS | VM_EXEC | VM_STACK, NULL, 0);
	if (!IS_ERR(vma))
		vma = wasm_add_area(mm, image_end, block_end, VM_DATA_DEFAULT_FLAGS, NULL, 0);
	mmap_write_unlock(mm);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	mm->context.image_end = image_end;
	mm->start_code = 0;
	mm->end_code = image_end;
	mm->start_data = 0;
	mm->end_data = image_end;
	mm->start_brk = block_end;
	mm->brk = block_end;
	/*
	 * Room for the break. A gap costs its size in U, so it is small; malloc
	 * maps.
	 */
	mm->context.mmap_base = block_end + SZ_1M;
	mm->stack_vm = 0;
	return 0;
}
