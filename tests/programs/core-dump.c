// SPDX-License-Identifier: MIT
// Core dumps: written where core_pattern says if the limit lets them, a wasm module with the memory in its data segments, and
// the wait status tells of a whole one only.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "check.h"

static char word[] = "a word in static memory";
static char *allocated;
static const struct rlimit none = { 0, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY }, small = { 100000, RLIM_INFINITY },
	enough = { 500000, RLIM_INFINITY };

static void set_pattern(const char *pattern)
{
	int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && write(fd, pattern, strlen(pattern)) == (ssize_t)strlen(pattern) && close(fd) == 0);
}

static void *wait_for_ever(void *unused)
{
	for (;;) pause();
	return unused;
}

static void *run_for_ever(void *unused)
{
	for (;;) __asm__ volatile("");
	return unused;
}

enum { ABORT, OUT_OF_BOUNDS, THREADS, TERMINATE, NOT_DUMPABLE };

/* The wait status of a child that ends so. */
static int end_by(int how, const struct rlimit *limit)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		setrlimit(RLIMIT_CORE, limit);
		switch (how) {
		case OUT_OF_BOUNDS:
			*(volatile char *)0xfffffff0 = 1;
			break;
		case THREADS:
			pthread_create(&thread, NULL, wait_for_ever, NULL);
			pthread_create(&thread, NULL, run_for_ever, NULL);
			break;
		case TERMINATE:
			raise(SIGTERM);
			break;
		case NOT_DUMPABLE:
			prctl(PR_SET_DUMPABLE, 0);
		}
		abort();
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	siginfo_t information;
	CHECK_ERROR(waitid(P_PID, child, &information, WEXITED), ECHILD);
	return status;
}

static const uint8_t *at, *end;

static uint32_t number(void)
{
	uint32_t value = 0;
	for (int shift = 0; at < end; shift += 7) {
		value |= (uint32_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80)) break;
	}
	return value;
}

static int is_name(const char *name)
{
	uint32_t length = number();
	int same = length == strlen(name) && length <= (size_t)(end - at) && memcmp(at, name, length) == 0;
	at += length;
	return same;
}

/* Reads a core: a valid module to its last byte, with these bytes at their addresses. */
static void check_core(const char *path, const char *name)
{
	struct stat status;
	int fd = open(path, O_RDONLY), sections = 0, found = 0;
	CHECK(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 0777) == 0600);
	if (fd < 0) return;
	uint8_t *core = malloc(status.st_size);
	for (off_t n = 0, part; n < status.st_size; n += part)
		if ((part = read(fd, core + n, status.st_size - n)) <= 0) break;
	close(fd);
	at = core;
	end = core + status.st_size;
	CHECK(status.st_size > 8 && memcmp(at, "\0asm\1\0\0\0", 8) == 0);
	at += 8;
	while (at < end) {
		uint8_t id = *at++;
		uint32_t length = number();
		const uint8_t *next = at + length;
		if (length > (size_t)(end - at)) break;
		sections++;
		if (id == 0 && sections == 1) {
			CHECK(is_name("core") && *at++ == 0 && is_name(name) && at == next);
		} else if (id == 0) {
			CHECK(is_name("corestack") && *at++ == 0 && is_name(name) && number() == 0 && at == next);
		} else if (id == 5) {
			CHECK(number() == 1 && *at++ == 3 && number() > 0 && number() > 0 && at == next);
		} else if (id == 11) {
			for (uint32_t count = number(); count > 0; count--) {
				CHECK(*at++ == 0 && *at++ == 0x41);
				uint32_t start = 0;
				int shift = 0;
				do {
					start |= (uint32_t)(*at & 0x7f) << shift;
					shift += 7;
				} while (*at++ & 0x80);
				if (shift < 32 && at[-1] & 0x40) start |= -1u << shift;
				CHECK(*at++ == 0x0b);
				uint32_t size = number();
				if (start <= (uintptr_t)word && (uintptr_t)word < start + size)
					found += memcmp(at + ((uintptr_t)word - start), word, sizeof word) == 0;
				if (start <= (uintptr_t)allocated && (uintptr_t)allocated < start + size)
					found += memcmp(at + ((uintptr_t)allocated - start), allocated, 100000) == 0;
				at += size;
			}
			CHECK(at == next);
		} else {
			CHECK(!"a known section");
		}
		at = next;
	}
	CHECK(at == end && sections == 4 && found == 2);
	free(core);
	CHECK(unlink(path) == 0);
}

int main(void)
{
	int status;
	char path[40];
	allocated = malloc(100000);
	memset(allocated, 'x', 100000);
	CHECK(mkdir("/tmp/cores", 0700) == 0 && chdir("/tmp/cores") == 0);

	/* the default: no core, and nothing says so */
	status = end_by(ABORT, &none);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) && access("core", F_OK) != 0);
	status = end_by(ABORT, &all);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	check_core("core", "core-dump");
	status = end_by(OUT_OF_BOUNDS, &all);
	CHECK(WTERMSIG(status) == SIGSEGV && WCOREDUMP(status));
	check_core("core", "core-dump");
	status = end_by(THREADS, &all);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	check_core("core", "core-dump");

	status = end_by(TERMINATE, &all);
	CHECK(WTERMSIG(status) == SIGTERM && !WCOREDUMP(status) && access("core", F_OK) != 0);
	status = end_by(NOT_DUMPABLE, &all);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) && access("core", F_OK) != 0);
	status = end_by(ABORT, &small);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
	unlink("core");
	/* The stack alone has 8 MiB, but zeros do not count. */
	status = end_by(ABORT, &enough);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	struct stat core;
	CHECK(stat("core", &core) == 0 && core.st_size > 8 << 20 && core.st_blocks < 1000);
	check_core("core", "core-dump");

	set_pattern("/tmp/cores/%e.%s");
	sprintf(path, "core-dump.%d", SIGABRT);
	status = end_by(ABORT, &all);
	CHECK(WCOREDUMP(status));
	check_core(path, "core-dump");
	set_pattern("core");

	printf(failures ? "%d failures\n" : "passed\n", failures);
	return failures != 0;
}
