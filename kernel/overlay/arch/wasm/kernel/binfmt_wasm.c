// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec of a wasm module: a new U with the argument block, and orders for the
 * worker, which starts the program when it has left the kernel.
 */
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/globals.h>
#include <asm/machine.h>
#include "coredump.h"
#include "internal.h"

#define WASM_MAGIC	"\0asm\1\0\0"	/* and a final 0: version 1 */

#define AUX_ENTRIES	18

/* The size of the argument block in bytes: words, auxiliary vector, strings. */
static size_t block_size(const struct linux_binprm *bprm)
{
	size_t strings = PAGE_SIZE * MAX_ARG_PAGES - bprm->p;
	size_t words = 1 + bprm->argc + 1 + bprm->envc + 1 + 2 * AUX_ENTRIES;

	return ALIGN(words * sizeof(u32), 16) + 32 + strings;
}

/*
 * Writes argc, argv, envp and the auxiliary vector at @block. The strings lie
 * at @strings already.
 */
static int write_block(struct linux_binprm *bprm, u32 block, u32 strings, u32 random)
{
	const struct cred *cred = current_cred();
	u32 __user *at = (u32 __user *)block;
	struct mm_struct *mm = current->mm;
	u32 *vector;
	int i, n = 0, error = 0;
	long length;

	error |= __put_user((u32)bprm->argc, at++);
	mm->arg_start = strings;
	for (i = 0; i < bprm->argc; i++) {
		error |= __put_user(strings, at++);
		length = strnlen_user((void __user *)strings, MAX_ARG_STRLEN);
		if (length <= 0)
			return -EINVAL;
		strings += length;
	}
	error |= __put_user(0, at++);
	mm->arg_end = strings;
	mm->env_start = strings;
	for (i = 0; i < bprm->envc; i++) {
		error |= __put_user(strings, at++);
		length = strnlen_user((void __user *)strings, MAX_ARG_STRLEN);
		if (length <= 0)
			return -EINVAL;
		strings += length;
	}
	error |= __put_user(0, at++);
	mm->env_end = strings;

	/* saved_auxv is an array of unsigned long pairs, zero at the end. */
	vector = (u32 *)mm->saved_auxv;
	memset(vector, 0, sizeof(mm->saved_auxv));
#define AUX(type, value)			\
	do {					\
		vector[n++] = (type);		\
		vector[n++] = (u32)(value);	\
	} while (0)
	AUX(AT_PAGESZ, PAGE_SIZE);
	AUX(AT_CLKTCK, USER_HZ);
	AUX(AT_HWCAP, 0);
	AUX(AT_FLAGS, 0);
	AUX(AT_UID, from_kuid_munged(cred->user_ns, cred->uid));
	AUX(AT_EUID, from_kuid_munged(cred->user_ns, cred->euid));
	AUX(AT_GID, from_kgid_munged(cred->user_ns, cred->gid));
	AUX(AT_EGID, from_kgid_munged(cred->user_ns, cred->egid));
	AUX(AT_SECURE, bprm->secureexec);
	AUX(AT_RANDOM, random);
	AUX(AT_EXECFN, mm->env_end);
	if (bprm->have_execfd)
		AUX(AT_EXECFD, bprm->execfd);
	AUX(AT_NULL, 0);
#undef AUX
	error |= __copy_to_user(at, vector, n * sizeof(u32));
	return error ? -EFAULT : 0;
}

static struct linux_binfmt wasm_format;

static int load_wasm_binary(struct linux_binprm *bprm)
{
	struct auklet_worker *worker = (void *)get_wasm_worker();
	unsigned long block, strings, end, image_end;
	const struct wasm_program *program;
	u8 random[16];
	int error;

	if (memcmp(bprm->buf, WASM_MAGIC, 8))
		return -ENOEXEC;
	program = wasm_find_program(bprm->file);
	if (IS_ERR(program))
		return PTR_ERR(program);
	if (program->pages > auklet_machine.memory_pages)
		return -ENOMEM;

	error = begin_new_exec(bprm);
	if (error)
		return error;
	set_personality(PER_LINUX);
	setup_new_exec(bprm);

	error = wasm_wait_for_own_memory(current->mm);
	if (error)
		return error;
	image_end = program->pages * WASM_PAGE;
	error = wasm_map_image(current->mm, image_end, block_size(bprm), &program->stack);
	if (error)
		return error;
	block = image_end;
	end = image_end + PAGE_ALIGN(block_size(bprm));
	strings = end;
	error = transfer_args_to_stack(bprm, &strings);
	if (error)
		return error;
	get_random_bytes(random, sizeof(random));
	if (copy_to_user((void __user *)(strings - sizeof(random)), random, sizeof(random)))
		return -EFAULT;
	error = write_block(bprm, block, strings, strings - sizeof(random));
	if (error)
		return error;
	current->mm->start_stack = block;

	set_binfmt(&wasm_format);
	finalize_exec(bprm);
	worker->module = program->module;
	worker->start = AUKLET_START_EXEC;
	worker->entry = AUKLET_START_EXEC;
	worker->argument = block;
	current->thread.start = WASM_START_PROGRAM;
	return 0;
}

static struct linux_binfmt wasm_format = {
	.module		= THIS_MODULE,
	.load_binary	= load_wasm_binary,
#ifdef CONFIG_COREDUMP
	.core_dump	= wasm_core_dump,
	.min_coredump	= PAGE_SIZE,	/* as ELF's: no file for limit 0 */
#endif
};

static int __init init_wasm_binfmt(void)
{
	register_binfmt(&wasm_format);
	return 0;
}
core_initcall(init_wasm_binfmt);
