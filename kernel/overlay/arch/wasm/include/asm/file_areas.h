/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What file systems and sync tell the shared mappings that follow a file:
 * mm/shared_file.c. What the page cache tells them is in <linux/pagemap.h>.
 */
#ifndef _ASM_WASM_FILE_AREAS_H
#define _ASM_WASM_FILE_AREAS_H

#include <linux/types.h>

struct address_space;
struct super_block;

/* Before parts of the file change places. The i_rwsem is locked. */
int publish_file_areas_locked(struct address_space *mapping);

/*
 * Other bytes are in the file now, from @start on. The i_rwsem is locked, and
 * publish_file_areas_locked() was called before.
 */
void reread_file_areas(struct address_space *mapping, loff_t start);

/* Before all of a file system is synced. The s_umount is locked. */
void publish_super_areas(struct super_block *sb);

#endif /* _ASM_WASM_FILE_AREAS_H */
