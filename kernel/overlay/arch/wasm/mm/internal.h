/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _WASM_MM_INTERNAL_H
#define _WASM_MM_INTERNAL_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/uaccess.h>
#include <asm/host.h>

#define WASM_PAGE_SHIFT	16

/* access.c */
void wasm_init_access(struct mm_struct *mm);
void wasm_free_access(struct mm_struct *mm);
int wasm_prepare_access(struct mm_struct *mm, unsigned long start, unsigned long end);
void wasm_set_access(struct mm_struct *mm, unsigned long start, unsigned long end,
		     vm_flags_t vm_flags);

/* areas.c; the mmap_lock is held for writing, and the mm's own U is bound. */
int wasm_grow_memory(struct mm_struct *mm, unsigned long end);
int wasm_store_area(struct mm_struct *mm, unsigned long start, unsigned long end,
		    struct vm_area_struct *vma);
bool wasm_within_limit(struct mm_struct *mm, unsigned long bytes);
void wasm_count_area(struct mm_struct *mm, struct vm_area_struct *vma, long pages);
struct vm_area_struct *wasm_add_area(struct mm_struct *mm, unsigned long start, unsigned long end,
				     vm_flags_t vm_flags, struct file *file, unsigned long pgoff);
void wasm_get_area(struct vm_area_struct *copy);
void wasm_free_area(struct vm_area_struct *vma);
int wasm_isolate_range(struct mm_struct *mm, unsigned long start, unsigned long end);

/* mmap.c */
int wasm_read_file(struct file *file, unsigned long start, unsigned long length,
		   unsigned long pgoff);

/* writeback.c */
int wasm_sum_area(struct vm_area_struct *vma);
void wasm_get_sums(struct vm_area_struct *vma);
void wasm_put_sums(struct vm_area_struct *vma);
int wasm_copy_sums(struct vm_area_struct *copy, const struct vm_area_struct *vma);
int wasm_write_back(struct vm_area_struct *vma, unsigned long start, unsigned long end);
int wasm_write_back_file(struct mm_struct *mm, struct file *file, unsigned long pgoff,
			 unsigned long pages);

/* exec.c */
struct main_stack *wasm_main_stack_of(int id);
unsigned long wasm_unused_stack(int id);
bool wasm_read_word(u32 *value, unsigned long address);

/* remote.c */
int wasm_remote_copy(struct mm_struct *mm, unsigned long address, void *buffer, int length,
		     bool write);

/*
 * An update of other copies: the bytes of @now that differ from @before, or all
 * @length bytes if that is NULL. Bytes that do not differ may be newer
 * elsewhere.
 */
struct update {
	const u8 *now, *before;
	unsigned int length;
	/* How many memories this worker has updated itself. */
	unsigned int bound;
	/* The places that the host has yet to update. */
	struct auklet_place place[AUKLET_COPY_PLACES];
	unsigned int places;
};

void wasm_remote_update(struct update *update, struct mm_struct *mm, unsigned long address);
void wasm_remote_update_rest(struct update *update);

/* shared_cache.c */
bool wasm_file_is_live(const struct file *file);
bool wasm_is_on_disk(struct address_space *mapping);
unsigned int wasm_bytes_of_page(const struct inode *inode, pgoff_t index);
const u8 *wasm_get_cached(struct file *file, struct address_space *mapping, pgoff_t index,
			  struct folio **folio);
void wasm_put_cached(struct folio *folio);
int wasm_write_cached(struct address_space *mapping, loff_t position, const u8 *from,
		      unsigned int length);
void wasm_lock_contents(struct address_space *mapping);
bool wasm_try_lock_contents(struct address_space *mapping);
void wasm_unlock_contents(struct address_space *mapping);

/*
 * shared.c. The mm's mmap_lock is held for writing; for wasm_publish_area() it
 * may be held for reading. A forked child that fills its U has its mm for
 * itself, and holds no lock.
 */
bool wasm_is_alone(const struct vm_area_struct *vma);
int wasm_link_area(struct vm_area_struct *vma);
void wasm_unlink_area(struct vm_area_struct *vma);
void wasm_split_live_area(struct vm_area_struct *lower, struct vm_area_struct *upper,
			  unsigned long at);
int wasm_publish_area(struct vm_area_struct *vma, unsigned long start, unsigned long end);
int wasm_publish_all(struct address_space *mapping, pgoff_t first, pgoff_t last);
int wasm_publish_unseen(struct address_space *mapping, pgoff_t first, pgoff_t last);
void wasm_update_copies(struct address_space *mapping, pgoff_t index, unsigned int offset,
			const u8 *now, const u8 *before, unsigned int length,
			const struct vm_area_struct *except);

/* shared_calls.c */
bool wasm_is_settled(const struct mm_struct *mm);

/*
 * shared_atomic.c: one atomic change of a word; the mmap_lock is held for
 * reading.
 */
struct word_change {
	u32 __user *word;
	unsigned int operation;	/* WASM_ATOMIC_* */
	u32 operand;
	u32 expected;		/* of a compare */
	u32 old;		/* the result */
};

int wasm_change_word(struct word_change *change);
int wasm_change_shared_word(struct vm_area_struct *vma, struct word_change *change);
bool wasm_may_store(const struct vm_area_struct *vma);

static inline struct address_space *area_mapping(const struct vm_area_struct *vma)
{
	return vma->vm_file->f_mapping;
}

/* The last page of the file that is in @vma. */
static inline pgoff_t last_index(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* Whether @vma is a shared mapping that follows its file (shared.c). */
static inline bool area_is_live(const struct vm_area_struct *vma)
{
	return !RB_EMPTY_NODE(&vma->shared.rb);
}

/*
 * What the kernel itself does to the contents of areas, which their protection
 * does not concern. Like copy_to_user(), these return how many bytes are left.
 */
static inline unsigned long copy_from_area(void *to, unsigned long from, unsigned long n)
{
	return user_access.copy_from(to, from, n);
}

static inline unsigned long copy_to_area(unsigned long to, const void *from, unsigned long n)
{
	return user_access.copy_to(to, from, n);
}

/*
 * A new area is zero, whatever was there before. From @fresh on, U has only now
 * become longer: nobody has stored anything there. To clear that would only
 * make the engine find a page for each.
 */
static inline unsigned long clear_area(unsigned long start, unsigned long n, unsigned long fresh)
{
	unsigned long end = min(start + n, max(start, fresh));

	return user_access.clear(start, end - start);
}

/*
 * The end of U. Read before wasm_grow_memory(), under the mmap_lock, it is what
 * clear_area() calls fresh.
 */
static inline unsigned long user_end(void)
{
	return user_access.pages() << WASM_PAGE_SHIFT;
}

#endif /* _WASM_MM_INTERNAL_H */
