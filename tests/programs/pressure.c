// SPDX-License-Identifier: MIT
// What a kernel short of memory must not lose: stores to shared mappings of a file on a disk.
//   pressure map FILE COMMAND   two processes store to the mapped file while the shell runs COMMAND; then the file must be right
//   pressure hog                takes memory that cannot be reclaimed, in pipes, until the kernel kills it
//   pressure orphan             the same, beside a child that is killed first, and that it cannot reap
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "check.h"

enum { PAGE = 4096, PAGES = 1024, WORDS = PAGE / 4, WORKERS = 2, AT_ONCE = 16 };

/* The word of a page that nobody stores to. */
static uint32_t constant(unsigned page, unsigned word)
{
	return (page * WORDS + word) * 2654435761u;
}

/* The words at the end of a page are counters, one of each worker. */
static unsigned word_of(unsigned worker)
{
	return WORDS - 1 - worker;
}

static void check_page(const volatile uint32_t *page, unsigned number)
{
	unsigned wrong = 0;
	for (unsigned word = 0; word < WORDS - WORKERS; word++) wrong += page[word] != constant(number, word);
	CHECK(wrong == 0);
}

static void make_file(const char *name)
{
	static uint32_t page[WORDS];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (unsigned number = 0; number < PAGES; number++) {
		for (unsigned word = 0; word < WORDS - WORKERS; word++) page[word] = constant(number, word);
		CHECK(write(fd, page, PAGE) == PAGE);
	}
	close(fd);
}

/* Stores until nobody holds the other end of @stop; then writes its counters to @result. */
static void work(const char *name, unsigned worker, int stop, int result)
{
	static uint32_t stored[PAGES], seen[PAGES];
	uint32_t random = 12345 + worker, rounds = 0;
	int fd = open(name, O_RDWR);
	volatile uint32_t *file = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char byte;

	CHECK(file != MAP_FAILED);
	CHECK(fcntl(stop, F_SETFL, O_NONBLOCK) == 0);
	while (read(stop, &byte, 1) != 0 && !failures) {
		for (int i = 0; i < AT_ONCE; i++) {
			random = random * 1664525 + 1013904223;
			unsigned number = (random >> 8) % PAGES;
			volatile uint32_t *page = file + number * WORDS;
			uint32_t others = page[word_of(!worker)];
			CHECK(page[word_of(worker)] == stored[number]);
			CHECK(others >= seen[number]);
			seen[number] = others;
			page[word_of(worker)] = ++stored[number];
			check_page(page, number);
		}
		/* Now and then the pages are clean, and may go. */
		if (++rounds % 64 == 0) CHECK(msync((void *)file, PAGES * PAGE, MS_SYNC) == 0);
	}
	CHECK(rounds > 0);
	CHECK(munmap((void *)file, PAGES * PAGE) == 0);
	for (unsigned done = 0; done < sizeof stored;) {
		ssize_t n = write(result, (char *)stored + done, sizeof stored - done);
		CHECK(n > 0);
		if (n <= 0) break;
		done += n;
	}
	fflush(stdout);
	_exit(failures != 0);
}

static void check_file(const char *name, uint32_t stored[WORKERS][PAGES])
{
	static uint32_t page[WORDS];
	int caches = open("/proc/sys/vm/drop_caches", O_WRONLY), fd = open(name, O_RDONLY);

	sync();
	CHECK(write(caches, "3", 1) == 1);
	for (unsigned number = 0; number < PAGES && !failures; number++) {
		CHECK(read(fd, page, PAGE) == PAGE);
		check_page(page, number);
		for (unsigned worker = 0; worker < WORKERS; worker++) CHECK(page[word_of(worker)] == stored[worker][number]);
	}
}

static void map(const char *name, const char *command)
{
	static uint32_t stored[WORKERS][PAGES];
	int stop[2], result[WORKERS][2], status;
	pid_t child[WORKERS];

	make_file(name);
	CHECK(pipe(stop) == 0);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		CHECK(pipe(result[worker]) == 0);
		child[worker] = fork();
		if (child[worker] == 0) {
			close(stop[1]);
			work(name, worker, stop[0], result[worker][1]);
		}
		close(result[worker][1]);
	}
	/* The command must not keep the workers going. */
	CHECK(fcntl(stop[1], F_SETFD, FD_CLOEXEC) == 0);
	CHECK(system(command) == 0);
	close(stop[1]);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		size_t done = 0;
		ssize_t n;
		while ((n = read(result[worker][0], (char *)stored[worker] + done, sizeof stored[worker] - done)) > 0) done += n;
		CHECK(done == sizeof stored[worker]);
		CHECK(waitpid(child[worker], &status, 0) == child[worker] && status == 0);
	}
	check_file(name, stored);
}

static void choose_first(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	CHECK(write(fd, score, strlen(score)) == (ssize_t)strlen(score));
	close(fd);
}

static void hog(void)
{
	static char bytes[65536];
	int ends[2];

	CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1 << 16, 1 << 16 }) == 0);
	while (pipe(ends) == 0 && write(ends[1], bytes, sizeof bytes) == sizeof bytes) {
	}
	CHECK(!"the kernel was to kill this");
}

static void orphan(void)
{
	int ready[2];
	char byte;

	CHECK(pipe(ready) == 0);
	choose_first("900");
	if (fork() == 0) {
		choose_first("1000");
		close(ready[0]);
		close(ready[1]);
		for (;;) pause();
	}
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 0);
	hog();
}

int main(int count, char **arguments)
{
	if (count == 4 && strcmp(arguments[1], "map") == 0) map(arguments[2], arguments[3]);
	else if (count == 2 && strcmp(arguments[1], "hog") == 0) choose_first("1000"), hog();
	else if (count == 2 && strcmp(arguments[1], "orphan") == 0) orphan();
	else return 2;
	if (!failures) puts("pressure done");
	return failures != 0;
}
