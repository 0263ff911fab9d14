// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs: wasm modules (docs/abi.md, section 2). A module is checked and
 * compiled once and then found again by the identity of its file; starting it
 * is the worker's business, when it has left the kernel.
 */
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/personality.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "coredump.h"

#define WASM_MAGIC	"\0asm\1\0\0"	/* and a final 0: version 1 */
#define WASM_PAGE	65536UL

#define SECTION_TYPE	1
#define SECTION_IMPORT	2
#define SECTION_GLOBAL	6
#define SECTION_EXPORT	7

#define KIND_FUNCTION	0
#define KIND_MEMORY	2
#define KIND_GLOBAL	3

#define TYPE_I32	0x7f
#define LIMITS_SHARED	3	/* shared, with a maximum */

/*
 * The version of the psABI (docs/abi.md, section 2). A program exports a function that is named after its own; those of version 1
 * have no such mark.
 */
#define PSABI_MARK	"__psabi_"
#define PSABI_VERSION	2

/* Larger than any program; a bound for what is read into K at once. */
#define LARGEST_MODULE	SZ_128M

struct program {
	struct list_head link;
	/* The file when it was compiled. */
	dev_t device;
	unsigned long inode;
	u32 generation;
	loff_t size;
	struct timespec64 changed;
	/* What its module needs. */
	int module;
	u32 pages;	/* of static memory */
	u32 psabi;
	struct main_stack stack;
};

static LIST_HEAD(programs);
static DEFINE_MUTEX(programs_lock);

/* The bytes of a file in K, page by page: many at once are hard to find, and larger than 4 MiB there are none. */
struct image {
	size_t size;
	unsigned int count;
	u8 **pages;	/* @count that are allocated */
};

static void free_image(struct image *image)
{
	while (image->count)
		free_page((unsigned long)image->pages[--image->count]);
	kvfree(image->pages);
}

/* free_image() is for the caller, also after an error. */
static int read_image(struct image *image, struct file *file)
{
	/* A program that is too large is its caller's error, and nobody else's end. */
	const gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	loff_t size = i_size_read(file_inode(file)), position = 0;
	/* Read at once: each read of a file system elsewhere is a round trip. */
	struct kvec part[32];

	BUILD_BUG_ON(PAGE_SIZE != AUKLET_MODULE_PIECE);
	if (size <= 0 || size > LARGEST_MODULE)
		return -ENOEXEC;
	image->size = size;
	image->pages = kvmalloc_array(DIV_ROUND_UP(image->size, PAGE_SIZE), sizeof(*image->pages), gfp);
	if (!image->pages)
		return -ENOMEM;
	while (position < size) {
		unsigned int parts = 0;
		loff_t end = position;
		struct iov_iter iter;

		while (end < size && parts < ARRAY_SIZE(part)) {
			u8 *page = (u8 *)__get_free_page(gfp);

			if (!page)
				return -ENOMEM;
			image->pages[image->count++] = page;
			part[parts].iov_base = page;
			part[parts].iov_len = min_t(loff_t, size - end, PAGE_SIZE);
			end += part[parts++].iov_len;
		}
		iov_iter_kvec(&iter, ITER_DEST, part, parts, end - position);
		while (position < end) {
			ssize_t n = vfs_iter_read(file, &iter, &position, 0);

			if (n <= 0)
				return n ?: -EIO;
		}
	}
	return 0;
}

/* A bounded reader of a module's bytes; past the end it reads zeros and is bad. */
struct reader {
	const struct image *image;
	size_t at;
	size_t end;
	bool bad;
};

static u8 read_byte(struct reader *r)
{
	size_t at = r->at;

	if (at >= r->end) {
		r->bad = true;
		return 0;
	}
	r->at++;
	return r->image->pages[at / PAGE_SIZE][at % PAGE_SIZE];
}

/* LEB128, at most 32 bits. */
static u32 read_number(struct reader *r)
{
	u32 value = 0;
	unsigned int shift;
	u8 byte;

	for (shift = 0; shift < 35; shift += 7) {
		byte = read_byte(r);
		value |= (u32)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	r->bad = true;
	return 0;
}

/* A constant of 32 bits. */
static u32 read_signed(struct reader *r)
{
	unsigned int shift = 0;
	u32 value = 0;
	u8 byte;

	do {
		byte = read_byte(r);
		value |= (u32)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && shift < 35);
	return shift < 32 && byte & 0x40 ? value | ~0U << shift : value;
}

static struct reader read_bytes(struct reader *r, u32 length)
{
	struct reader part = { r->image, r->at, r->at, false };

	if (length > r->end - r->at) {
		r->bad = true;
		return part;
	}
	part.end = part.at + length;
	r->at += length;
	return part;
}

static struct reader read_name(struct reader *r)
{
	u32 length = read_number(r);

	return read_bytes(r, length);
}

static bool name_is(const struct reader *name, const char *text)
{
	struct reader r = *name;

	if (r.end - r.at != strlen(text))
		return false;
	while (*text)
		if (read_byte(&r) != (u8)*text++)
			return false;
	return true;
}

/* The number behind the prefix @text, or 0. */
static u32 number_after(const struct reader *name, const char *text)
{
	struct reader r = *name;
	u32 number = 0;

	while (*text)
		if (read_byte(&r) != (u8)*text++)
			return 0;
	while (r.at < r.end) {
		u8 digit = read_byte(&r) - '0';

		if (digit > 9 || number > 9999)
			return 0;
		number = 10 * number + digit;
	}
	return number;
}

/* The imports: the memory, the system call, perhaps fork and clock; nothing else exists. */
static const char *check_imports(struct reader *section, struct program *program, bool *forks)
{
	u32 count = read_number(section);
	bool memory = false;

	while (count-- && !section->bad) {
		struct reader module = read_name(section);
		struct reader name = read_name(section);
		u8 kind = read_byte(section);

		if (!name_is(&module, "linux"))
			return "imports from an unknown module";
		if (kind == KIND_FUNCTION && (name_is(&name, "syscall") || name_is(&name, "fork") ||
					      name_is(&name, "clock"))) {
			read_number(section);
			*forks |= name_is(&name, "fork");
		} else if (kind == KIND_MEMORY && name_is(&name, "memory") && !memory) {
			if (read_byte(section) != LIMITS_SHARED)
				return "memory is not shared";
			program->pages = read_number(section);
			if (read_number(section) < auklet_machine.memory_pages)
				return "memory has too small a maximum";
			memory = true;
		} else {
			return "unknown import";
		}
	}
	return memory ? NULL : "no memory import";
}

/* What the first globals begin with. Those whose values are not constants are 0, and end the list. */
#define GLOBALS		32
#define CONSTANT_I32	0x41
#define END		0x0b

static void read_globals(struct reader *section, u32 *value)
{
	u32 count = min_t(u32, read_number(section), GLOBALS), i;

	for (i = 0; i < count; i++) {
		u8 type = read_byte(section);
		u32 number;

		read_byte(section);
		if (type != TYPE_I32 || read_byte(section) != CONSTANT_I32)
			return;
		number = read_signed(section);
		if (read_byte(section) != END)
			return;
		value[i] = number;
	}
}

static const char *check_exports(struct reader *section, struct program *program, const u32 *value, bool forks)
{
	static const char * const required[] = {
		"_start", "__stack_pointer", "__tls_base",
		"asyncify_start_unwind", "asyncify_stop_unwind",
		"asyncify_start_rewind", "asyncify_stop_rewind", "asyncify_get_state",
	};
	unsigned int needed = forks ? ARRAY_SIZE(required) : 3;
	unsigned int found = 0, i;
	u32 count = read_number(section);

	while (count-- && !section->bad) {
		struct reader name = read_name(section);
		u8 kind = read_byte(section);
		u32 index = read_number(section);

		if (kind == KIND_GLOBAL && index < GLOBALS) {
			if (name_is(&name, "__stack_pointer"))
				program->stack.top = value[index];
			if (name_is(&name, "__stack_limit"))
				program->stack.limit = value[index];
		}
		if (kind == KIND_FUNCTION)
			program->psabi = number_after(&name, PSABI_MARK) ?: program->psabi;
		for (i = 0; i < needed; i++)
			if (name_is(&name, required[i]) &&
			    kind == (i == 1 || i == 2 ? KIND_GLOBAL : KIND_FUNCTION))
				found |= BIT(i);
	}
	return found == BIT(needed) - 1 ? NULL : "a required export is missing";
}

/* NULL if the image may be a program, else why not. The engine checks the rest. */
static const char *check_module(const struct image *image, struct program *program)
{
	struct reader module = { image, 8, image->size, false };
	bool imports = false, exports = false, forks = false;
	const char *fault = NULL, *found;
	u32 value[GLOBALS] = { };

	program->psabi = 1;
	while (module.at < module.end) {
		u8 id = read_byte(&module);
		u32 length = read_number(&module);
		struct reader section = read_bytes(&module, length);

		if (module.bad)
			return "truncated";
		found = NULL;
		if (id == SECTION_IMPORT) {
			found = check_imports(&section, program, &forks);
			imports = true;
		} else if (id == SECTION_GLOBAL) {
			read_globals(&section, value);
		} else if (id == SECTION_EXPORT) {
			found = check_exports(&section, program, value, forks);
			exports = true;
		}
		if (section.bad)
			return "malformed section";
		fault = fault ?: found;
	}
	/* What else a newer one has is not known here. */
	if (program->psabi > PSABI_VERSION)
		return "made for a newer system than this";
	if (fault)
		return fault;
	if (!imports || !exports)
		return "not a program";
	/* Of one that is not as the SDK makes it, nothing is known. */
	if (program->stack.limit < program->stack.top ||
	    program->stack.limit > program->pages * WASM_PAGE - sizeof(u32))
		program->stack.limit = 0;
	return program->psabi < PSABI_VERSION ? "made for an older system, compile it again" : NULL;
}

static bool is_same_file(const struct program *program, struct inode *inode)
{
	struct timespec64 changed = inode_get_ctime(inode);

	return program->inode == inode->i_ino && program->device == inode->i_sb->s_dev &&
	       program->generation == inode->i_generation &&
	       program->size == i_size_read(inode) &&
	       timespec64_equal(&program->changed, &changed);
}

static struct program *compile(struct file *file, struct inode *inode)
{
	struct image image = { };
	struct program *program;
	const char *fault;
	int error;

	program = kzalloc(sizeof(*program), GFP_KERNEL);
	if (!program)
		return ERR_PTR(-ENOMEM);
	error = read_image(&image, file);
	if (error)
		goto free;
	program->device = inode->i_sb->s_dev;
	program->inode = inode->i_ino;
	program->generation = inode->i_generation;
	program->size = image.size;
	program->changed = inode_get_ctime(inode);
	fault = check_module(&image, program);
	if (fault)
		pr_notice_ratelimited("%pD is no program for this kernel (psABI %u): %s\n",
				      file, PSABI_VERSION, fault);
	program->module = fault ? -ENOEXEC : engine_module_compile((const u8 *const *)image.pages, image.size);
	error = min(program->module, 0);
free:
	free_image(&image);
	if (!error)
		return program;
	kfree(program);
	return ERR_PTR(error);
}

/* The program of an open file, from the cache or compiled now. */
static struct program *find_program(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct program *program;

	mutex_lock(&programs_lock);
	list_for_each_entry(program, &programs, link)
		if (is_same_file(program, inode))
			goto out;
	program = compile(file, inode);
	if (!IS_ERR(program))
		list_add(&program->link, &programs);
out:
	mutex_unlock(&programs_lock);
	return program;
}

/* How many bytes the argument block takes: words, auxiliary vector, strings. */
#define AUX_ENTRIES	18

static size_t block_size(const struct linux_binprm *bprm)
{
	size_t strings = PAGE_SIZE * MAX_ARG_PAGES - bprm->p;
	size_t words = 1 + bprm->argc + 1 + bprm->envc + 1 + 2 * AUX_ENTRIES;

	return ALIGN(words * sizeof(u32), 16) + 32 + strings;
}

/* Writes argc, argv, envp and the auxiliary vector at @block; the strings lie at @strings already. */
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
	struct program *program;
	u8 random[16];
	int error;

	if (memcmp(bprm->buf, WASM_MAGIC, 8))
		return -ENOEXEC;
	program = find_program(bprm->file);
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
	.min_coredump	= PAGE_SIZE,	/* as ELF's: no file if the limit is 0 */
#endif
};

static int __init init_wasm_binfmt(void)
{
	register_binfmt(&wasm_format);
	return 0;
}
core_initcall(init_wasm_binfmt);
