// SPDX-License-Identifier: GPL-2.0-only
/* vmsplice() of user memory, which has no pages that a pipe could hold. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/splice.h>
#include <linux/uio.h>

/*
 * Copies what is in @from to new pages, at most @max_pages. Returns how many
 * bytes that are, or -ENOMEM or -EFAULT if none could be copied.
 */
ssize_t vmsplice_copies(struct iov_iter *from, struct page **pages, unsigned int max_pages,
			size_t *start)
{
	ssize_t total = 0;
	unsigned int i;
	size_t copied;

	*start = 0;
	for (i = 0; i < max_pages && iov_iter_count(from); i++) {
		pages[i] = alloc_page(GFP_USER);
		if (!pages[i])
			return total ? total : -ENOMEM;
		copied = copy_page_from_iter(pages[i], 0, PAGE_SIZE, from);
		if (!copied) {
			put_page(pages[i]);
			return total ? total : -EFAULT;
		}
		total += copied;
		if (copied < PAGE_SIZE)
			break;
	}
	return total;
}
