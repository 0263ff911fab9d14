// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs: wasm modules (docs/abi-programs.md). A module is checked and
 * compiled once, and then found again by the identity of its file.
 */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include "internal.h"

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
 * The version of the psABI (docs/abi-programs.md). A program exports a function
 * that is named after its version; one of version 1 has no such mark.
 */
#define PSABI_MARK	"__psabi_"
#define PSABI_VERSION	2

/* No program is larger. This bounds what is read into K at once. */
#define LARGEST_MODULE	SZ_128M

/* A program in the cache, and its file as it was when it was compiled. */
struct cached_program {
	struct wasm_program program;
	u32 psabi;
	struct list_head link;
	dev_t device;
	unsigned long inode;
	u32 generation;
	loff_t size;
	struct timespec64 changed;
};

static LIST_HEAD(programs);
static DEFINE_MUTEX(programs_lock);

/*
 * The bytes of a file in K, page by page: many pages in a row are hard to find,
 * and the allocator has no more than 4 MiB in a row.
 */
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

/* The caller calls free_image(), also after an error. */
static int read_image(struct image *image, struct file *file)
{
	/*
	 * A program that is too large is an error for its caller, and kills no
	 * other task.
	 */
	const gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	loff_t size = i_size_read(file_inode(file)), position = 0;
	/*
	 * Read many pages at once: on some file systems each read is a round
	 * trip.
	 */
	struct kvec part[32];

	BUILD_BUG_ON(PAGE_SIZE != AUKLET_MODULE_PIECE);
	if (size <= 0 || size > LARGEST_MODULE)
		return -ENOEXEC;
	image->size = size;
	image->pages = kvmalloc_array(DIV_ROUND_UP(image->size, PAGE_SIZE),
				      sizeof(*image->pages), gfp);
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

/*
 * A bounded reader of a module's bytes. Past the end it reads zeros and becomes
 * bad.
 */
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

/* Reads an unsigned LEB128 number of at most 32 bits. */
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

/* Reads a signed LEB128 number of at most 32 bits. */
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

/* Returns the number behind the prefix @text of @name, or 0. */
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

/*
 * A program imports its memory and the system call, perhaps fork and clock, and
 * nothing else.
 */
static const char *check_imports(struct reader *section, struct wasm_program *program,
				 bool *forks)
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

#define GLOBALS		32
#define CONSTANT_I32	0x41
#define END		0x0b

/*
 * Reads the initial values of the first globals. The first that is no constant
 * ends that: it and those behind it stay 0.
 */
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

static const char *check_exports(struct reader *section, struct cached_program *cached,
				 const u32 *value, bool forks)
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
				cached->program.stack.top = value[index];
			if (name_is(&name, "__stack_limit"))
				cached->program.stack.limit = value[index];
		}
		if (kind == KIND_FUNCTION)
			cached->psabi = number_after(&name, PSABI_MARK) ?: cached->psabi;
		for (i = 0; i < needed; i++)
			if (name_is(&name, required[i]) &&
			    kind == (i == 1 || i == 2 ? KIND_GLOBAL : KIND_FUNCTION))
				found |= BIT(i);
	}
	return found == BIT(needed) - 1 ? NULL : "a required export is missing";
}

/*
 * Returns NULL if the image may be a program, else why not. The engine checks
 * the rest.
 */
static const char *check_module(const struct image *image, struct cached_program *cached)
{
	struct wasm_program *program = &cached->program;
	struct reader module = { image, 8, image->size, false };
	bool imports = false, exports = false, forks = false;
	const char *fault = NULL, *found;
	u32 value[GLOBALS] = { };

	cached->psabi = 1;
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
			found = check_exports(&section, cached, value, forks);
			exports = true;
		}
		if (section.bad)
			return "malformed section";
		fault = fault ?: found;
	}
	/* First: a newer program may also have what is a fault here. */
	if (cached->psabi > PSABI_VERSION)
		return "made for a newer system than this";
	if (fault)
		return fault;
	if (!imports || !exports)
		return "not a program";
	/* A stack that the SDK has not laid out tells nothing about its use. */
	if (program->stack.limit < program->stack.top ||
	    program->stack.limit > program->pages * WASM_PAGE - sizeof(u32))
		program->stack.limit = 0;
	return cached->psabi < PSABI_VERSION ? "made for an older system, compile it again" : NULL;
}

static bool is_same_file(const struct cached_program *cached, struct inode *inode)
{
	struct timespec64 changed = inode_get_ctime(inode);

	return cached->inode == inode->i_ino && cached->device == inode->i_sb->s_dev &&
	       cached->generation == inode->i_generation &&
	       cached->size == i_size_read(inode) &&
	       timespec64_equal(&cached->changed, &changed);
}

static struct cached_program *compile(struct file *file, struct inode *inode)
{
	struct cached_program *cached;
	struct image image = { };
	const char *fault;
	int error;

	cached = kzalloc(sizeof(*cached), GFP_KERNEL);
	if (!cached)
		return ERR_PTR(-ENOMEM);
	error = read_image(&image, file);
	if (error)
		goto free;
	cached->device = inode->i_sb->s_dev;
	cached->inode = inode->i_ino;
	cached->generation = inode->i_generation;
	cached->size = image.size;
	cached->changed = inode_get_ctime(inode);
	fault = check_module(&image, cached);
	if (fault) {
		pr_notice_ratelimited("%pD is no program for this kernel (psABI %u): %s\n",
				      file, PSABI_VERSION, fault);
		error = -ENOEXEC;
		goto free;
	}
	cached->program.module = engine_module_compile((const u8 *const *)image.pages, image.size);
	error = min(cached->program.module, 0);
free:
	free_image(&image);
	if (!error)
		return cached;
	kfree(cached);
	return ERR_PTR(error);
}

/* Returns the program of an open file, from the cache or compiled now. */
const struct wasm_program *wasm_find_program(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct cached_program *cached;

	mutex_lock(&programs_lock);
	list_for_each_entry(cached, &programs, link)
		if (is_same_file(cached, inode))
			goto out;
	cached = compile(file, inode);
	if (!IS_ERR(cached))
		list_add(&cached->link, &programs);
out:
	mutex_unlock(&programs_lock);
	return IS_ERR(cached) ? ERR_CAST(cached) : &cached->program;
}
