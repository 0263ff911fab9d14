// SPDX-License-Identifier: GPL-2.0-only
/*
 * Core dumps. A dump is a wasm module whose data segments are the process's
 * memory, by the Coredump convention of WebAssembly's tools. It has no stack
 * frames: they are the engine's, and the engine shows them to nobody.
 */
#include <linux/binfmts.h>
#include <linux/coredump.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/machine.h>
#include "coredump.h"

#define SECTION_CUSTOM	0
#define SECTION_MEMORY	5
#define SECTION_DATA	11

#define LIMITS_SHARED	3
#define I32_CONST	0x41
#define END		0x0b

#define WASM_PAGE	65536UL

/* The head of a section or segment that is about to be written. */
struct bytes {
	u8 at[96];
	unsigned int length;
};

static void put_byte(struct bytes *bytes, u8 byte)
{
	if (!WARN_ON_ONCE(bytes->length == sizeof(bytes->at)))
		bytes->at[bytes->length++] = byte;
}

/* Appends a number as unsigned LEB128. */
static void put_number(struct bytes *bytes, u32 value)
{
	for (; value >= 0x80; value >>= 7)
		put_byte(bytes, value | 0x80);
	put_byte(bytes, value);
}

/* Appends a constant, which is signed LEB128. */
static void put_constant(struct bytes *bytes, s32 value)
{
	for (; value < -64 || value > 63; value >>= 7)
		put_byte(bytes, value | 0x80);
	put_byte(bytes, value & 0x7f);
}

static void put_name(struct bytes *bytes, const char *name)
{
	put_number(bytes, strlen(name));
	while (*name)
		put_byte(bytes, *name++);
}

static bool emit(struct coredump_params *cprm, const struct bytes *bytes)
{
	return dump_emit(cprm, bytes->at, bytes->length);
}

/* Writes a section that fits into struct bytes. */
static bool emit_section(struct coredump_params *cprm, u8 id, const struct bytes *content)
{
	struct bytes head = { };

	put_byte(&head, id);
	put_number(&head, content->length);
	return emit(cprm, &head) && emit(cprm, content);
}

/*
 * Writes the custom section "core" (the process) or "corestack" (a thread
 * without frames). Both have the name of the process.
 */
static bool emit_information(struct coredump_params *cprm, const char *kind, bool frames)
{
	char comm[TASK_COMM_LEN];
	struct bytes content = { };

	put_name(&content, kind);
	put_byte(&content, 0);
	put_name(&content, get_task_comm(comm, current));
	if (frames)
		put_number(&content, 0);
	return emit_section(cprm, SECTION_CUSTOM, &content);
}

static bool emit_memory(struct coredump_params *cprm)
{
	struct bytes content = { };
	unsigned long end = 0;
	int i;

	for (i = 0; i < cprm->vma_count; i++)
		end = max(end, cprm->vma_meta[i].end);
	put_number(&content, 1);
	put_byte(&content, LIMITS_SHARED);
	put_number(&content, DIV_ROUND_UP(end, WASM_PAGE));
	put_number(&content, auklet_machine.memory_pages);
	return emit_section(cprm, SECTION_MEMORY, &content);
}

static struct bytes segment_head(const struct core_vma_metadata *area)
{
	struct bytes head = { };

	put_byte(&head, 0);	/* active, of memory 0 */
	put_byte(&head, I32_CONST);
	put_constant(&head, area->start);
	put_byte(&head, END);
	put_number(&head, area->dump_size);
	return head;
}

/*
 * Bytes that cannot be read become zeros. Pages of zeros become holes of the
 * file, which do not count for RLIMIT_CORE.
 */
static bool emit_area(struct coredump_params *cprm, const struct core_vma_metadata *area, u8 *page)
{
	unsigned long at;

	for (at = 0; at < area->dump_size; at += PAGE_SIZE) {
		unsigned long length = min(area->dump_size - at, PAGE_SIZE);
		int copied = access_process_vm(current, area->start + at, page, length, FOLL_FORCE);

		memset(page + copied, 0, length - copied);
		if (!memchr_inv(page, 0, length))
			dump_skip(cprm, length);
		else if (!dump_emit(cprm, page, length))
			return false;
		cond_resched();
	}
	return true;
}

static bool emit_areas(struct coredump_params *cprm, u8 *page)
{
	struct bytes count = { }, head = { }, segment;
	u32 length, segments = 0;
	int i;

	for (i = 0; i < cprm->vma_count; i++)
		segments += cprm->vma_meta[i].dump_size != 0;
	put_number(&count, segments);
	length = count.length;
	for (i = 0; i < cprm->vma_count; i++) {
		segment = segment_head(&cprm->vma_meta[i]);
		if (cprm->vma_meta[i].dump_size)
			length += segment.length + cprm->vma_meta[i].dump_size;
	}
	put_byte(&head, SECTION_DATA);
	put_number(&head, length);
	if (!emit(cprm, &head) || !emit(cprm, &count))
		return false;
	for (i = 0; i < cprm->vma_count; i++) {
		if (!cprm->vma_meta[i].dump_size)
			continue;
		segment = segment_head(&cprm->vma_meta[i]);
		if (!emit(cprm, &segment) || !emit_area(cprm, &cprm->vma_meta[i], page))
			return false;
	}
	return true;
}

/* Returns true if all was written. The process's wait status then says so. */
int wasm_core_dump(struct coredump_params *cprm)
{
	static const u8 magic[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
	u8 *page = (u8 *)__get_free_page(GFP_KERNEL);
	bool whole;

	if (!page)
		return 0;
	whole = dump_emit(cprm, magic, sizeof(magic)) &&
		emit_information(cprm, "core", false) &&
		emit_information(cprm, "corestack", true) &&
		emit_memory(cprm) &&
		emit_areas(cprm, page);
	free_page((unsigned long)page);
	return whole;
}
