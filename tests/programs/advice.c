// SPDX-License-Identifier: MIT
// madvise: what a child gets, what is given up, and which advice is none.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "check.h"

#define PAGE 4096
#define SIZE (16 * PAGE)

static char *map(int value)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	memset(p, value, SIZE);
	return p;
}

static int all(const char *p, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) if (p[i] != value) return 0;
	return 1;
}

/* Whether there is a mapping at @p. */
static int mapped(char *p)
{
	return msync(p, PAGE, MS_ASYNC) == 0;
}

static int run(void (*in_child)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		in_child();
		_exit(failures != 0);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

static char *wiped, *kept, *missing, *part;

static void look(void)
{
	CHECK(all(wiped, SIZE, 0) && all(kept, SIZE, 'k') && !mapped(missing) && !mapped(missing + SIZE - PAGE));
	CHECK(mapped(part) && all(part, PAGE, 'p') && !mapped(part + PAGE) && mapped(part + 2 * PAGE));
	CHECK(all(part + 2 * PAGE, PAGE, 0) && all(part + 3 * PAGE, SIZE - 3 * PAGE, 'p'));
	wiped[0] = 1;
}

/* Of a child: what was wiped is so again, what was not copied can be mapped. */
static void look_again(void)
{
	look();
	CHECK(run(look));
	CHECK(mmap(missing, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == missing);
	CHECK(all(missing, PAGE, 0));
}

static void look_undone(void)
{
	CHECK(all(wiped, SIZE, 'w') && all(missing, SIZE, 'm') && mapped(part + PAGE));
}

int main(void)
{
	char *p, *shared;

	wiped = map('w');
	kept = map('k');
	missing = map('m');
	part = map('p');
	CHECK(madvise(wiped, SIZE, MADV_WIPEONFORK) == 0);
	CHECK(madvise(missing, SIZE, MADV_DONTFORK) == 0);
	CHECK(madvise(part + PAGE, PAGE, MADV_DONTFORK) == 0 && madvise(part + 2 * PAGE, PAGE, MADV_WIPEONFORK) == 0);
	CHECK(run(look_again));
	CHECK(all(wiped, SIZE, 'w') && all(missing, SIZE, 'm') && all(part, SIZE, 'p'));
	CHECK(madvise(wiped, SIZE, MADV_KEEPONFORK) == 0 && madvise(missing, SIZE, MADV_DOFORK) == 0);
	CHECK(madvise(part, SIZE, MADV_DOFORK) == 0);
	CHECK(run(look_undone));
	puts("fork");

	p = map('d');
	CHECK(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(all(p, PAGE, 'd') && all(p + PAGE, 2 * PAGE, 0) && all(p + 3 * PAGE, SIZE - 3 * PAGE, 'd'));
	/* a hole is told of, but what is around it is advised */
	CHECK(munmap(p + PAGE, PAGE) == 0);
	CHECK_ERROR(madvise(p, SIZE, MADV_DONTNEED), ENOMEM);
	CHECK(all(p, PAGE, 0) && all(p + 2 * PAGE, SIZE - 2 * PAGE, 0));
	CHECK_ERROR(madvise(p, SIZE, MADV_NORMAL), ENOMEM);
	CHECK_ERROR(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERROR(madvise(p, SIZE, 1234), EINVAL);
	CHECK(madvise(p, 0, MADV_DONTNEED) == 0);
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_ERROR(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
	CHECK_ERROR(madvise(shared, PAGE, MADV_FREE), EINVAL);
	CHECK_ERROR(madvise(shared, PAGE, 23 /* MADV_POPULATE_WRITE */), EINVAL);
	CHECK(madvise(shared, PAGE, 22 /* MADV_POPULATE_READ */) == 0 && madvise(p, PAGE, MADV_WILLNEED) == 0);
	puts("advice");
	return failures != 0;
}
