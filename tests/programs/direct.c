// SPDX-License-Identifier: MIT
// O_DIRECT: direct PATH... Each path is a file or a block device of at least 1 MiB, whose first bytes are overwritten. Whatever
// the place, the length and the memory, a transfer is done or is EINVAL, and what was written is there for everybody.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "check.h"

enum { PAGE = 4096, ROOM = 1 << 20 };

static const struct {
	off_t place;
	size_t length, shift;	/* @shift: of the memory, behind the start of a page */
} transfers[] = {
	{ 0, PAGE, 0 },		{ PAGE, 16 * PAGE, 0 },	{ 512, 512, 512 },	{ 3 * PAGE, PAGE, 4 },
	{ 0, 1, 0 },		{ 5, 7, 1 },		{ PAGE - 3, 9, 13 },	{ 1000, 50001, 77 },
	{ 0, ROOM, 0 },		{ 1, ROOM - 2, 3 },
};

static char known[ROOM], from[ROOM + PAGE] __attribute__((__aligned__(PAGE))), to[ROOM + PAGE] __attribute__((__aligned__(PAGE)));

static void check_transfer(int direct, int other, off_t place, size_t length, size_t shift, unsigned number)
{
	for (size_t i = 0; i < length; i++) from[shift + i] = (i * 31 + number * 101) >> 3;
	ssize_t n = pwrite(direct, from + shift, length, place);
	CHECK(n == (ssize_t)length || (n == -1 && errno == EINVAL));
	if (n > 0) memcpy(known + place, from + shift, n);
	memset(to, 0x55, sizeof to);
	n = pread(direct, to + shift, length, place);
	CHECK((n == (ssize_t)length && memcmp(to + shift, known + place, length) == 0) || (n == -1 && errno == EINVAL));
	CHECK(pread(other, to, ROOM, 0) == ROOM && memcmp(to, known, ROOM) == 0);
}

static void check_path(const char *path)
{
	int direct = open(path, O_RDWR | O_DIRECT | O_CREAT, 0600);
	int other = open(path, O_RDWR);
	struct stat status;

	CHECK(direct >= 0 && other >= 0 && fstat(other, &status) == 0);
	CHECK((fcntl(direct, F_GETFL) & O_DIRECT) == O_DIRECT);
	memset(known, 'k', sizeof known);
	CHECK(pwrite(other, known, ROOM, 0) == ROOM);
	for (unsigned i = 0; i < sizeof transfers / sizeof *transfers; i++)
		check_transfer(direct, other, transfers[i].place, transfers[i].length, transfers[i].shift, i);
	/* Pieces, of which some are odd. */
	struct iovec pieces[] = { { to, PAGE }, { to + 2 * PAGE, 3 }, { to + 3 * PAGE, PAGE - 3 } };
	CHECK(preadv(direct, pieces, 3, 0) == 2 * PAGE && memcmp(to, known, PAGE) == 0 && memcmp(to + 3 * PAGE, known + PAGE + 3, PAGE - 3) == 0);
	/* Memory that is a mapping of the file itself. */
	char *mapped = S_ISREG(status.st_mode) ? mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0) : MAP_FAILED;
	if (mapped != MAP_FAILED) {
		CHECK(pwrite(direct, mapped, PAGE, 8 * PAGE) == PAGE && memcmp(mapped, mapped + 8 * PAGE, PAGE) == 0);
		mapped[0] = 'm';
		CHECK(pread(direct, to, PAGE, 0) == PAGE && to[0] == 'm');
		CHECK(munmap(mapped, ROOM) == 0);
	}
	/* The end, and what is behind it. */
	if (S_ISREG(status.st_mode)) {
		CHECK(ftruncate(direct, PAGE + 100) == 0);
		CHECK(pread(direct, to, 2 * PAGE, 0) == PAGE + 100 && pread(direct, to, PAGE, 2 * PAGE) == 0);
	}
	/* Memory that the program does not have. */
	CHECK_ERROR(pread(direct, (void *)-PAGE, PAGE, 0), EFAULT);
	CHECK(close(direct) == 0 && close(other) == 0);
}

int main(int count, char **paths)
{
	for (int i = 1; i < count; i++) {
		check_path(paths[i]);
		if (failures) printf("with %s\n", paths[i]);
	}
	puts("direct done");
	return failures != 0;
}
