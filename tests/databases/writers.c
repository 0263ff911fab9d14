// SPDX-License-Identifier: MIT
// Several processes write to one database, and no update may be lost:
//   PROGRAM FOLDER WRITERS TRANSACTIONS|SECONDSs [SEED] [kill]
// Each writer increments counters and replaces records, all of a step in one transaction, and says in a file of its own
// how many steps it has committed. Which counters a step increments follows from its number, so that the sums at the
// end are known. Other transactions only read, or are given up. With "kill", writer 0 is killed on its way again and
// again, and another one takes its place.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "store.h"

enum {
	COUNTERS = 64,
	IN_A_STEP = 4,
	TOTAL = COUNTERS,	/* the sum of all counters */
	STEPS = COUNTERS + 1,	/* and behind it, the number of steps of each writer */
	MOST_WRITERS = 16,
	KEPT = 40,		/* records of a writer */
	STEPS_OF_A_LIFE = 50,	/* of a writer that is killed */
	PAGE = 4096,
};

static unsigned writers;
static uint64_t seed = 1;
/* One of these ends a writer, also one that takes the place of one that was killed. */
static uint64_t most_steps = UINT64_MAX;
static time_t end = -1;

static time_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

void fail(const char *what, const char *why)
{
	printf("writers: %s: %s\n", what, why);
	fflush(stdout);
	_exit(2);
}

static void check(int holds, const char *what)
{
	if (!holds) fail("wrong", what);
}

static uint64_t mixed(uint64_t value)
{
	value += seed * 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

static uint64_t random_of(unsigned writer, uint64_t step, unsigned what)
{
	return mixed(mixed(step * 256 + what) + writer);
}

/* A step may increment a counter more than once. */
static unsigned counter_of(unsigned writer, uint64_t step, unsigned index)
{
	return random_of(writer, step, index) % COUNTERS;
}

static size_t make_record(unsigned writer, uint64_t step, unsigned char *bytes)
{
	size_t length = 1 + random_of(writer, step, 100) % RECORD_SIZE;
	uint64_t word = random_of(writer, step, 101);

	for (size_t i = 0; i < length; i++) bytes[i] = word >> i % 8 * 8 ^ i;
	return length;
}

static void check_record(unsigned writer, uint64_t step)
{
	unsigned char expected[RECORD_SIZE], bytes[RECORD_SIZE];
	size_t length = make_record(writer, step, expected);

	check(store_record(writer, step, bytes) == length && memcmp(bytes, expected, length) == 0, "a record");
}

static void increment(unsigned counter, int64_t by)
{
	store_set_counter(counter, store_counter(counter) + by);
}

static void make_step(unsigned writer, uint64_t step)
{
	unsigned char bytes[RECORD_SIZE];

	check(store_counter(STEPS + writer) == (int64_t)step - 1, "the number of steps that this writer has committed");
	for (unsigned i = 0; i < IN_A_STEP; i++) increment(counter_of(writer, step, i), 1);
	increment(TOTAL, IN_A_STEP);
	increment(STEPS + writer, 1);
	store_set_record(writer, step, bytes, make_record(writer, step, bytes));
	if (step > KEPT) store_set_record(writer, step - KEPT, NULL, 0);
}

/* All of a step is there, or nothing. */
static void look(void)
{
	int64_t sum = 0, steps = 0;

	for (unsigned i = 0; i < COUNTERS; i++) sum += store_counter(i);
	check(sum == store_counter(TOTAL), "the sum of the counters while others write");
	for (unsigned i = 0; i < writers; i++) {
		int64_t count = store_counter(STEPS + i);
		steps += count;
		if (count > 0) check_record(i, count);
		if (count >= KEPT) check_record(i, count - KEPT + 1);
	}
	check(sum == steps * IN_A_STEP, "the number of steps while others write");
}

static int log_of(unsigned writer)
{
	char name[20];

	sprintf(name, "log%u", writer);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	if (fd < 0) fail(name, strerror(errno));
	return fd;
}

static uint64_t logged(unsigned writer)
{
	uint64_t steps = 0;
	int fd = log_of(writer);

	if (pread(fd, &steps, sizeof steps, 0) < 0) fail("log", strerror(errno));
	close(fd);
	return steps;
}

/* What tells of a step. It fills the pipe, so that the writer is at most a step ahead of the reader. */
static char told[PAGE];

/* Runs until the end. Tells of each step by @teller, if there is one. */
static void write_steps(unsigned writer, int teller)
{
	int log = log_of(writer);

	store_open();
	store_begin(0);
	uint64_t step = store_counter(STEPS + writer);
	store_end(0);
	while (step < most_steps && (end < 0 || now() < end)) {
		uint64_t chance = random_of(writer, step, 102) % 16;
		if (chance < 4) {
			store_begin(0);
			look();
			store_end(0);
		} else if (chance == 4) {
			store_begin(1);
			make_step(writer, step + 1);
			store_end(0);
		}
		step++;
		do {
			store_begin(1);
			make_step(writer, step);
		} while (!store_end(1));
		if (pwrite(log, &step, sizeof step, 0) != sizeof step) fail("log", strerror(errno));
		if (teller >= 0 && write(teller, told, PAGE) != PAGE) fail("pipe", strerror(errno));
	}
	store_close();
	_exit(0);
}

static pid_t start(unsigned writer, int teller)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) write_steps(writer, teller);
	if (child < 0) fail("fork", strerror(errno));
	return child;
}

static int wait_for(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child) fail("waitpid", strerror(errno));
	return status;
}

/* Writer 0 is killed after some steps, wherever it is then, until one comes to its end. Returns how many were killed. */
static unsigned kill_writers(void)
{
	for (unsigned killed = 0;; killed++) {
		int ends[2];
		if (pipe(ends) != 0 || fcntl(ends[1], F_SETPIPE_SZ, PAGE) != PAGE) fail("pipe", strerror(errno));
		pid_t child = start(0, ends[1]);
		close(ends[1]);
		ssize_t got = PAGE;
		for (uint64_t left = 1 + random_of(0, killed, 200) % STEPS_OF_A_LIFE; left && got == PAGE; left--)
			got = read(ends[0], told, PAGE);
		if (got == PAGE) kill(child, SIGKILL);
		int status = wait_for(child);
		close(ends[0]);
		if (WIFEXITED(status)) {
			if (WEXITSTATUS(status)) exit(1);
			return killed;
		}
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "how a writer ended");
	}
}

/* The writers have ended. */
static uint64_t check_all(int killed)
{
	static int64_t expected[COUNTERS];
	uint64_t all = 0;

	store_open();
	store_begin(0);
	for (unsigned writer = 0; writer < writers; writer++) {
		uint64_t steps = store_counter(STEPS + writer), said = logged(writer);
		/* One that is killed may have committed a step more than it has said. */
		if (steps != said && !(killed && writer == 0 && steps == said + 1)) {
			printf("writers: writer %u has committed %llu steps, and the database has %llu\n", writer, (unsigned long long)said,
				(unsigned long long)steps);
			exit(1);
		}
		for (uint64_t step = 1; step <= steps; step++)
			for (unsigned i = 0; i < IN_A_STEP; i++) expected[counter_of(writer, step, i)]++;
		all += steps;
	}
	for (unsigned i = 0; i < COUNTERS; i++) check(store_counter(i) == expected[i], "a counter at the end");
	look();
	store_end(0);
	store_check();
	store_close();
	return all;
}

int main(int count, char **arguments)
{
	if (count < 4 || chdir(arguments[1]) != 0) fail("usage", "PROGRAM FOLDER WRITERS TRANSACTIONS|SECONDSs [SEED] [kill]");
	writers = atoi(arguments[2]);
	if (writers < 1 || writers > MOST_WRITERS) fail("usage", "1 to 16 writers");
	if (strchr(arguments[3], 's')) end = now() + atoi(arguments[3]);
	else most_steps = atoi(arguments[3]);
	if (count > 4) seed = strtoull(arguments[4], NULL, 0);
	int killing = count > 5 && strcmp(arguments[5], "kill") == 0;

	store_make();
	pid_t child[MOST_WRITERS];
	for (unsigned i = killing; i < writers; i++) child[i] = start(i, -1);
	unsigned killed = killing ? kill_writers() : 0;
	int failures = 0;
	for (unsigned i = killing; i < writers; i++) {
		int status = wait_for(child[i]);
		if (status == 0) continue;
		printf("writers: writer %u has ended with %#x\n", i, status);
		failures++;
	}
	if (failures) return 1;
	uint64_t steps = check_all(killing);
	if (killing) check(killed >= (end < 0 ? most_steps / (STEPS_OF_A_LIFE + 2) : 1), "so few writers were killed");
	fprintf(stderr, "%llu transactions of %u writers, %u killed\n", (unsigned long long)steps, writers, killed);
	puts("no update is lost");
	return 0;
}
