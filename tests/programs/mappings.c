// SPDX-License-Identifier: MIT
// What the kernel keeps of mappings: /proc/self/maps after each change, files written back, and what isolation rules out.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/loop.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* All of a file of /proc. Without the allocator, which might map into the holes that are looked at. */
static char *read_all(const char *path)
{
	static char text[65536];
	size_t have = 0;
	int fd = open(path, O_RDONLY);
	for (ssize_t n; (n = read(fd, text + have, sizeof text - 1 - have)) > 0;) have += n;
	text[have] = '\0';
	close(fd);
	return text;
}

/* Of /proc/self/maps, the lines that lie in [start, start + pages): "first+pages permissions offset name", in pages. */
static const char *maps(const void *start, int pages)
{
	static char text[2000];
	char permissions[8], name[500];
	unsigned long first = (uintptr_t)start, end = first + pages * PAGE, from, to, offset, inode;
	*text = '\0';
	for (char *line = strtok(read_all("/proc/self/maps"), "\n"); line; line = strtok(NULL, "\n")) {
		*name = '\0';
		if (sscanf(line, "%lx-%lx %7s %lx %*x:%*x %lu %499[^\n]", &from, &to, permissions, &offset, &inode, name) < 5)
			return "not a line";
		if (to <= first || from >= end) continue;
		char *path = strchr(name, '/');
		/* Neighbours may be one area, here as on Linux: only what lies inside counts. */
		if (from < first) from = first;
		if (to > end) to = end;
		sprintf(text + strlen(text), "%s%lu+%lu %s", *text ? ", " : "", (from - first) / PAGE, (to - from) / PAGE, permissions);
		if (path) sprintf(text + strlen(text), " %lu %s%s", offset / PAGE, path, inode ? "" : " without inode");
	}
	return text;
}

#define CHECK_MAPS(start, pages, expected) \
	do { \
		const char *now_ = maps(start, pages); \
		if (strcmp(now_, expected) != 0) { \
			printf("%s:%d: maps: %s\n", __FILE_NAME__, __LINE__, now_); \
			failures++; \
		} \
	} while (0)

static int all(const unsigned char *p, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) if (p[i] != value) return 0;
	return 1;
}

static long memory_now(const char *field)
{
	char *line = strstr(read_all("/proc/self/status"), field);
	return line ? atol(line + strlen(field) + 1) : -1;
}

static void anonymous(void)
{
	/* Between two areas that stay, so that no other mapping comes to lie beside it. */
	unsigned char *a = mmap(NULL, 20 * PAGE, PROT_READ, ANONYMOUS, -1, 0);
	CHECK(a != MAP_FAILED);
	a += 2 * PAGE;
	CHECK(mprotect(a, 16 * PAGE, READ_WRITE) == 0);
	CHECK_MAPS(a - 2 * PAGE, 20, "0+2 r--p, 2+16 rw-p, 18+2 r--p");
	memset(a, 1, 16 * PAGE);

	CHECK(munmap(a + 4 * PAGE, 2 * PAGE) == 0 && munmap(a, PAGE) == 0 && munmap(a + 15 * PAGE, PAGE) == 0);
	CHECK_MAPS(a, 16, "1+3 rw-p, 6+9 rw-p");
	CHECK(munmap(a + 3 * PAGE, 4 * PAGE) == 0);	/* the ends of two areas, and the hole between them */
	CHECK_MAPS(a, 16, "1+2 rw-p, 7+8 rw-p");
	CHECK(munmap(a + 3 * PAGE, 4 * PAGE) == 0);	/* nothing there: no error */
	CHECK(all(a + PAGE, 2 * PAGE, 1) && all(a + 7 * PAGE, 8 * PAGE, 1));
	CHECK_ERROR(munmap(a, 0), EINVAL);
	CHECK_ERROR(munmap((void *)0xfffff000, 2 * PAGE), EINVAL);

	/* Protection is kept, though not enforced. */
	CHECK(mprotect(a + 9 * PAGE, 2 * PAGE, PROT_NONE) == 0 && mprotect(a + 13 * PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK_MAPS(a, 16, "1+2 rw-p, 7+2 rw-p, 9+2 ---p, 11+2 rw-p, 13+1 r-xp, 14+1 rw-p");
	CHECK_ERROR(mprotect(a, 2 * PAGE, PROT_READ), ENOMEM);
	CHECK_ERROR(mprotect(a + 7 * PAGE, PAGE, 0x100), EINVAL);
	CHECK(mprotect(a + 7 * PAGE, 8 * PAGE, READ_WRITE) == 0);

	/* Only the whole of an area's part is moved or changed. */
	CHECK_ERROR(mremap(a, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERROR(mremap(a + PAGE, 2 * PAGE, 8 * PAGE, 0), ENOMEM);
	CHECK_ERROR(mremap(a + PAGE, PAGE, PAGE, MREMAP_FIXED, a), EINVAL);
	CHECK(mremap(a + PAGE, 2 * PAGE, PAGE, 0) == a + PAGE);
	CHECK(mremap(a + PAGE, PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 3 * PAGE) == a + 3 * PAGE);
	CHECK(all(a + 3 * PAGE, PAGE, 1) && all(a + 4 * PAGE, 2 * PAGE, 0));
	CHECK_MAPS(a, 7, "3+3 rw-p");

	/* Given back, it is zero; what cannot be refused is at least not refused. */
	memset(a + 7 * PAGE, 2, 8 * PAGE);
	CHECK(madvise(a + 8 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(all(a + 7 * PAGE, PAGE, 2) && all(a + 8 * PAGE, 2 * PAGE, 0) && all(a + 10 * PAGE, 5 * PAGE, 2));
	CHECK(madvise(a + 7 * PAGE, PAGE, MADV_WILLNEED) == 0 && madvise(a + 7 * PAGE, PAGE, MADV_FREE) == 0);
	CHECK(posix_madvise(a + 7 * PAGE, PAGE, POSIX_MADV_SEQUENTIAL) == 0);
	CHECK_ERROR(madvise(a, PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_ERROR(madvise(a + 7 * PAGE, PAGE, 12345), EINVAL);
	CHECK_ERROR(madvise(a + 7 * PAGE + 1, PAGE, MADV_DONTNEED), EINVAL);

	CHECK(munmap(a - 2 * PAGE, 20 * PAGE) == 0);
	CHECK_MAPS(a - 2 * PAGE, 20, "");
	long before = memory_now("VmSize");
	CHECK((a = mmap(NULL, 256 * PAGE, READ_WRITE, ANONYMOUS, -1, 0)) != MAP_FAILED);
	CHECK(memory_now("VmSize") == before + 1024);
	CHECK(munmap(a, 256 * PAGE) == 0 && memory_now("VmSize") == before);
	puts("anonymous");
}

static int file_has(int fd, off_t at, const char *text)
{
	char there[100] = "";
	return pread(fd, there, strlen(text), at) == (ssize_t)strlen(text) && strcmp(there, text) == 0;
}

/* The exit status of a child that calls the function. */
static int in_child(void (*function)(unsigned char *, int), unsigned char *shared, int fd)
{
	int result;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		failures = 0;
		function(shared, fd);
		fflush(stdout);
		_exit(failures != 0);
	}
	CHECK(waitpid(child, &result, 0) == child);
	return result;
}

static void write_others(unsigned char *shared, int fd)
{
	(void)shared;
	CHECK(pwrite(fd, "other", 5, PAGE) == 5 && pwrite(fd, "other", 5, 4 * PAGE) == 5);
}

static void store(unsigned char *shared, int fd)
{
	(void)fd;
	memcpy(shared, "child", 5);
}

static void store_and_execute(unsigned char *shared, int fd)
{
	(void)fd;
	memcpy(shared, "executed", 8);
	execlp("true", "true", NULL);
	_exit(1);
}

static void store_and_die(unsigned char *shared, int fd)
{
	(void)fd;
	memcpy(shared, "killed..", 8);
	raise(SIGKILL);
}

/* Dies in its own code. */
static void store_and_spin(unsigned char *shared, int fd)
{
	(void)fd;
	CHECK(setrlimit(RLIMIT_CPU, &(struct rlimit){1, 2}) == 0);
	memcpy(shared, "spinning", 8);
	for (;;);
}

static void files(void)
{
	unsigned char page[PAGE];
	int fd = open("/tmp/mappings", O_RDWR | O_CREAT | O_TRUNC, 0600), read_only = open("/tmp/mappings", O_RDONLY);
	int write_only = open("/tmp/mappings", O_WRONLY);
	memset(page, '.', PAGE);
	for (int i = 0; i < 8; i++) CHECK(write(fd, page, i == 7 ? 50 : PAGE) > 0);

	unsigned char *shared = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	unsigned char *private = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, read_only, 2 * PAGE);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	CHECK_MAPS(shared, 8, "0+8 rw-s 0 /tmp/mappings");
	CHECK_MAPS(private, 4, "0+4 rw-p 2 /tmp/mappings");

	/* A part, in the middle, is written when it is unmapped; the areas that are left know where in the file they are. */
	memcpy(shared + 3 * PAGE, "three", 5);
	CHECK(munmap(shared + 3 * PAGE, PAGE) == 0 && file_has(fd, 3 * PAGE, "three"));
	CHECK_MAPS(shared, 8, "0+3 rw-s 0 /tmp/mappings, 4+4 rw-s 4 /tmp/mappings");
	memcpy(shared + 5 * PAGE, "five", 4);
	memcpy(shared + 7 * PAGE + 45, "at the end", 10);
	CHECK(msync(shared + 5 * PAGE, PAGE, MS_ASYNC) == 0 && file_has(fd, 5 * PAGE, "five"));
	CHECK(file_has(fd, 7 * PAGE + 45, "at th"));
	CHECK_ERROR(msync(shared, 8 * PAGE, MS_SYNC), ENOMEM);	/* the hole */
	CHECK_ERROR(msync(shared, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERROR(msync(shared + 1, PAGE, MS_SYNC), EINVAL);
	CHECK(msync(shared + 4 * PAGE, 4 * PAGE, MS_SYNC) == 0 && file_has(fd, 7 * PAGE + 45, "at th"));
	struct stat status;
	CHECK(fstat(fd, &status) == 0 && status.st_size == 7 * PAGE + 50);	/* no longer than before */

	/* Only what this process has changed is written: what another has written meanwhile stays. */
	CHECK(in_child(write_others, shared, fd) == 0);
	memcpy(shared, "zero", 4);
	CHECK(munmap(shared + 4 * PAGE, 4 * PAGE) == 0 && msync(shared, 3 * PAGE, MS_SYNC) == 0);
	CHECK(file_has(fd, 0, "zero") && file_has(fd, PAGE, "other") && file_has(fd, 4 * PAGE, "other"));
	CHECK(memcmp(shared + PAGE, "other", 5) == 0);
	unsigned char *reader = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
	CHECK(reader != MAP_FAILED && memcmp(reader, "zero", 4) == 0);
	CHECK(pwrite(fd, "null", 4, 0) == 4 && memcmp(reader, "null", 4) == 0 && memcmp(shared, "null", 4) == 0);
	CHECK(msync(shared, PAGE, MS_INVALIDATE) == 0);

	/* A new mapping shows what another one has that lies over it in part. */
	memcpy(shared + PAGE, "first", 5);
	memcpy(shared + 2 * PAGE, "second", 6);
	unsigned char *window = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, read_only, 2 * PAGE);
	CHECK(window != MAP_FAILED && memcmp(window, "second", 6) == 0 && file_has(fd, PAGE, "first"));
	memcpy(shared + 2 * PAGE, ".......", 7);
	CHECK(munmap(window, 3 * PAGE) == 0 && msync(shared, 3 * PAGE, MS_SYNC) == 0 && file_has(fd, PAGE, "first"));

	/* A child's mapping is its parent's. */
	CHECK(in_child(store, shared, fd) == 0 && file_has(fd, 0, "child") && memcmp(shared, "child", 5) == 0);
	/* exec ends a mapping as exit does, and so does a signal. */
	CHECK(in_child(store_and_execute, shared, fd) == 0 && file_has(fd, 0, "executed"));
	CHECK(WTERMSIG(in_child(store_and_die, shared, fd)) == SIGKILL && file_has(fd, 0, "killed.."));

	/* Private changes stay private, and a given-back page is the file's again. */
	memcpy(private, "private", 7);
	CHECK(msync(private, 4 * PAGE, MS_SYNC) == 0 && file_has(fd, 2 * PAGE, "......."));
	CHECK(madvise(private, PAGE, MADV_DONTNEED) == 0 && memcmp(private, ".......", 7) == 0);
	CHECK(mprotect(private, PAGE, PROT_READ | PROT_EXEC) == 0);
	memcpy(page, private + PAGE, PAGE);
	unsigned char *moved = mremap(private + PAGE, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, private + 16 * PAGE);
	CHECK(moved == private + 16 * PAGE);
	CHECK_MAPS(moved, 3, "0+3 rw-p 3 /tmp/mappings");
	CHECK(memcmp(moved, page, PAGE) == 0 && munmap(moved, 3 * PAGE) == 0 && munmap(private, PAGE) == 0);

	/* Not mapped further than a page past its end, the file may be shorter than its mapping. */
	CHECK(ftruncate(fd, PAGE) == 0);
	memcpy(shared + PAGE, "gone", 4);
	CHECK(munmap(shared, 3 * PAGE) == 0 && fstat(fd, &status) == 0 && status.st_size == PAGE);

	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0), EACCES);
	CHECK_ERROR(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, read_only, 0), EACCES);
	CHECK_ERROR(mprotect(reader, PAGE, READ_WRITE), EACCES);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100), EINVAL);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, 0, fd, 0), EINVAL);
	CHECK(munmap(reader, PAGE) == 0);
	unlink("/tmp/mappings");
	close(fd), close(read_only), close(write_only);
	puts("files");
}

/* A shared mapping of a file that is not memory does not follow it: pages that the program has changed are written back. */
static void device(void)
{
	char path[40];
	int control = open("/dev/loop-control", O_RDWR), disk = open("/tmp/mappings.disk", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	sprintf(path, "/dev/loop%d", number);
	int fd = open(path, O_RDWR);
	CHECK(control >= 0 && number >= 0 && ftruncate(disk, 8 * PAGE) == 0 && fd >= 0 && ioctl(fd, LOOP_SET_FD, disk) == 0);
	unlink("/tmp/mappings.disk");

	unsigned char *shared = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED && all(shared, 8 * PAGE, 0));
	memcpy(shared + 3 * PAGE, "three", 5);
	CHECK(!file_has(fd, 3 * PAGE, "three") && munmap(shared + 3 * PAGE, PAGE) == 0 && file_has(fd, 3 * PAGE, "three"));
	memcpy(shared + 5 * PAGE, "five", 4);
	CHECK(msync(shared + 5 * PAGE, PAGE, MS_SYNC) == 0 && file_has(fd, 5 * PAGE, "five"));

	/* Only what this process has changed is written: what another has written meanwhile stays. */
	CHECK(in_child(write_others, shared, fd) == 0);
	memcpy(shared, "zero", 4);
	CHECK(munmap(shared + 4 * PAGE, 4 * PAGE) == 0 && msync(shared, 3 * PAGE, MS_SYNC) == 0);
	CHECK(file_has(fd, 0, "zero") && file_has(fd, PAGE, "other") && file_has(fd, 4 * PAGE, "other"));
	/* And it is seen when the process asks for it. */
	CHECK(all(shared + PAGE, PAGE, 0));
	CHECK(msync(shared, 3 * PAGE, MS_SYNC | MS_INVALIDATE) == 0 && memcmp(shared + PAGE, "other", 5) == 0);

	/* A new mapping shows what another one has that lies over it in part, and has no need of the rest. */
	memcpy(shared + PAGE, "first", 5);
	memcpy(shared + 2 * PAGE, "second", 6);
	unsigned char *window = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
	CHECK(window != MAP_FAILED && memcmp(window, "second", 6) == 0 && file_has(fd, PAGE, "other"));
	CHECK(munmap(window, 3 * PAGE) == 0);

	/* A child's mapping is its own, until it is written: by exit, exec or a signal. */
	CHECK(in_child(store, shared, fd) == 0 && file_has(fd, 0, "child") && memcmp(shared, "zero", 4) == 0);
	CHECK(in_child(store_and_execute, shared, fd) == 0 && file_has(fd, 0, "executed"));
	CHECK(WTERMSIG(in_child(store_and_die, shared, fd)) == SIGKILL && file_has(fd, 0, "killed.."));
	CHECK(WTERMSIG(in_child(store_and_spin, shared, fd)) == SIGXCPU && file_has(fd, 0, "spinning"));
	CHECK(munmap(shared, 3 * PAGE) == 0 && file_has(fd, 0, "spinning") && file_has(fd, PAGE, "first"));

	CHECK(ioctl(fd, LOOP_CLR_FD) == 0);
	close(fd), close(disk), close(control);
	puts("device");
}

/* What has no contents of its own. */
static void ruled_out(void)
{
	int fd = open("/dev/zero", O_RDWR), ends[2];
	unsigned char *zero = mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(zero != MAP_FAILED && all(zero, PAGE, 0) && munmap(zero, PAGE) == 0);
	zero = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	CHECK(zero != MAP_FAILED && all(zero, PAGE, 0) && munmap(zero, PAGE) == 0);
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	CHECK_ERROR(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0), EACCES);
	close(fd);
	CHECK(pipe(ends) == 0);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
	fd = open("/tmp", O_RDONLY);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
	close(fd), close(ends[0]), close(ends[1]);
	puts("ruled out");
}

/* Pieces of many sizes, all together "total" bytes at a time, many times over: the process does not grow. */
static void give_back(size_t total, int rounds)
{
	enum { PIECES = 4096 };
	static unsigned char *piece[PIECES];
	unsigned long pages = 0;
	long size = 0;
	uint32_t state = 1;
	for (int round = 0; round < rounds; round++) {
		size_t sum = 0;
		for (int i = 0; i < PIECES && sum < total; i++) {
			state = state * 1664525 + 1013904223;
			size_t length = 1000 + (state >> 8) % (total / 1024);
			if (!(piece[i] = malloc(length))) {
				CHECK(!"allocated");
				break;
			}
			piece[i][0] = piece[i][length - 1] = i;
			sum += length;
		}
		CHECK(sum >= total);
		/* Not in the order in which they came. */
		for (int step = 0; step < 3; step++) for (int i = step; i < PIECES; i += 3) {
			free(piece[i]);
			piece[i] = NULL;
		}
		if (round == 0) {
			size = memory_now("VmSize");
			pages = __builtin_wasm_memory_size(0);
		}
	}
	CHECK(memory_now("VmSize") <= size + 256);
	/* What it reached the first time is enough for ever, but for a hole here and there. */
	CHECK(__builtin_wasm_memory_size(0) <= pages + pages / 16);
	CHECK(size < 16 << 10);
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		give_back((size_t)atoi(argv[1]) << 20, atoi(argv[2]));
		return failures != 0;
	}
	anonymous();
	files();
	device();
	ruled_out();
	give_back(64 << 20, 20);
	puts("given back");
	return failures != 0;
}
