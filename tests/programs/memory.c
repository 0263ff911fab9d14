// SPDX-License-Identifier: MIT
// Mappings and the program break.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static int all(const unsigned char *p, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) if (p[i] != value) return 0;
	return 1;
}

int main(void)
{
	unsigned char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	CHECK(a != MAP_FAILED && (uintptr_t)a % PAGE == 0 && all(a, 16 * PAGE, 0));
	memset(a, 1, 16 * PAGE);
	CHECK(munmap(a + 4 * PAGE, 4 * PAGE) == 0);	/* a hole */
	CHECK(all(a, 4 * PAGE, 1) && all(a + 8 * PAGE, 8 * PAGE, 1));
	unsigned char *b = mmap(a + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(b == a + 4 * PAGE && all(b, 4 * PAGE, 0) && all(a, 4 * PAGE, 1));
	CHECK_ERROR(mmap(a, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK(munmap(a, 16 * PAGE) == 0);
	CHECK_ERROR(munmap(a + 1, PAGE), EINVAL);
	CHECK_ERROR(mmap(NULL, 0, PROT_READ, ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERROR(mmap(NULL, 0xfff00000, PROT_READ, ANONYMOUS, -1, 0), ENOMEM);

	/* grow, move, shrink */
	a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	memset(a, 2, 2 * PAGE);
	b = mremap(a, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(b != MAP_FAILED && all(b, 2 * PAGE, 2) && all(b + 2 * PAGE, 62 * PAGE, 0));
	CHECK(mremap(b, 64 * PAGE, PAGE, 0) == b && all(b, PAGE, 2) && munmap(b, PAGE) == 0);

	/* used again, it is zero again */
	for (int i = 0; i < 200; i++) {
		a = mmap(NULL, 256 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
		CHECK(a != MAP_FAILED && a[0] == 0 && a[100 * PAGE] == 0 && a[256 * PAGE - 1] == 0);
		a[0] = a[100 * PAGE] = a[256 * PAGE - 1] = 9;
		CHECK(munmap(a, 256 * PAGE) == 0);
	}
	puts("anonymous");

	/* what cannot be copied cannot be mapped, and is not waited for */
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pair[0], 0), ENODEV);
	int zero = open("/dev/zero", O_RDWR);
	a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
	CHECK(a != MAP_FAILED && all(a, PAGE, 0) && munmap(a, PAGE) == 0);
	CHECK(close(zero) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);

	int fd = open("/tmp/test-memory", O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char page[PAGE];
	for (int i = 0; i < 4; i++) {
		memset(page, 'A' + i, PAGE);
		CHECK(write(fd, page, i == 3 ? 100 : PAGE) > 0);
	}
	a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(a != MAP_FAILED && all(a, PAGE, 'A') && all(a + 3 * PAGE, 100, 'D') && all(a + 3 * PAGE + 100, PAGE - 100, 0));
	a[0] = 'z';
	CHECK(pread(fd, page, 1, 0) == 1 && page[0] == 'A');
	b = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
	CHECK(b != MAP_FAILED && all(b, PAGE, 'C'));
	CHECK(munmap(a, 4 * PAGE) == 0 && munmap(b, PAGE) == 0);
	a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED);
	a[10] = '!';
	CHECK(msync(a, PAGE, MS_SYNC) == 0 && pread(fd, page, 16, 0) == 16 && page[10] == '!');
	a[12] = '+';
	b = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(b != MAP_FAILED && b[12] == '+');
	CHECK(munmap(b, PAGE) == 0);
	a[11] = '?';
	CHECK(munmap(a, PAGE) == 0 && pread(fd, page, 16, 0) == 16 && page[11] == '?');
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 9999, 0), EBADF);
	close(fd);
	unlink("/tmp/test-memory");
	puts("files");

	/* sbrk is disabled in musl, so ask the kernel */
	uintptr_t start = syscall(SYS_brk, 0);
	CHECK((uintptr_t)syscall(SYS_brk, start + 300000) == start + 300000);
	CHECK(all((unsigned char *)start, 300000, 0));
	memset((void *)start, 5, 300000);
	CHECK((uintptr_t)syscall(SYS_brk, start) == start && (uintptr_t)syscall(SYS_brk, start + 300000) == start + 300000);
	CHECK(all((unsigned char *)start, 300000, 0));
	CHECK((uintptr_t)syscall(SYS_brk, 0xf0000000) == start + 300000);	/* too much: unchanged */
	puts("break");

	/* a child has all mappings, and its own */
	a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	memset(a, 6, 8 * PAGE);
	pid_t child = fork();
	if (child == 0) {
		int same = all(a, 8 * PAGE, 6);
		memset(a, 7, 8 * PAGE);
		_exit(same && munmap(a, 8 * PAGE) == 0 ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0 && all(a, 8 * PAGE, 6));
	puts("fork");
	return failures != 0;
}
