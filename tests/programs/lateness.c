// SPDX-License-Identifier: MIT
// How late a 10 ms periodic timer fires while programs spin: "lateness SPINNERS [TICKS]"
// prints "median NS", "p99 NS" and "worst NS". Has no fork: the spinners are spawned.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD = 10000000, MOST_SPINNERS = 64 };

extern char **environ;
static pid_t spinners[MOST_SPINNERS];
static int spinner_count;

static void end_spinners(void)
{
	for (int i = 0; i < spinner_count; i++) kill(spinners[i], SIGKILL);
	for (int i = 0; i < spinner_count; i++) waitpid(spinners[i], NULL, 0);
	spinner_count = 0;
}

static void check(int good, const char *what)
{
	if (good) return;
	perror(what);
	end_spinners();
	exit(1);
}

static int by_size(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "spin") == 0) {
		write(atoi(argv[2]), "", 1);
		for (;;) { }
	}
	int wanted = argc > 1 ? atoi(argv[1]) : 0, ticks = argc > 2 ? atoi(argv[2]) : 300;
	check(wanted >= 0 && wanted <= MOST_SPINNERS && ticks > 0, "usage: lateness SPINNERS [TICKS]");
	int ready[2];
	char number[12], byte;
	check(pipe(ready) == 0, "pipe");
	snprintf(number, sizeof number, "%d", ready[1]);
	while (spinner_count < wanted) {
		char *words[] = { argv[0], "spin", number, NULL };
		errno = posix_spawn(&spinners[spinner_count], argv[0], NULL, NULL, words, environ);
		check(errno == 0, "posix_spawn");
		spinner_count++;
	}
	for (int i = 0; i < spinner_count; i++) check(read(ready[0], &byte, 1) == 1, "read");

	int64_t *late = malloc(ticks * sizeof *late);
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct timespec now = { 0 };
	check(late != NULL && timer >= 0 && clock_gettime(CLOCK_MONOTONIC, &now) == 0, "timerfd_create");
	int64_t due = nanoseconds(now) + PERIOD;
	struct itimerspec every = {
		.it_value = { due / 1000000000, due % 1000000000 },
		.it_interval = { 0, PERIOD },
	};
	check(timerfd_settime(timer, TFD_TIMER_ABSTIME, &every, NULL) == 0, "timerfd_settime");
	for (int tick = 0; tick < ticks;) {
		uint64_t expired;
		check(read(timer, &expired, sizeof expired) == sizeof expired, "read");
		clock_gettime(CLOCK_MONOTONIC, &now);
		/* one that came so late that others were due meanwhile makes each of them late */
		for (; expired > 0 && tick < ticks; expired--, due += PERIOD) late[tick++] = nanoseconds(now) - due;
	}
	end_spinners();
	qsort(late, ticks, sizeof *late, by_size);
	printf("median %lld\np99 %lld\nworst %lld\n", (long long)late[ticks / 2], (long long)late[ticks * 99 / 100],
		(long long)late[ticks - 1]);
	return 0;
}
