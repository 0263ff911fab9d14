// SPDX-License-Identifier: MIT
// What a program sees when the host's wall clock is set, one line for each time: by how many seconds its clocks leapt, and
// whether a timer at a time of day fired. tests/clock/clock.mjs sets the clock.
#include "check.h"
#include <poll.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

/* A timer is set so many seconds ahead, and one later than any time that is set. */
#define AHEAD 1000
#define FAR_AHEAD 10000000

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* How far @clock is from the monotonic one, in ns. */
static int64_t ahead(clockid_t clock)
{
	return nanoseconds(clock) - nanoseconds(CLOCK_MONOTONIC);
}

static long seconds(int64_t change)
{
	return (change + (change < 0 ? -500000000 : 500000000)) / 1000000000;
}

static void set_timer(int fd, int seconds, int flags)
{
	struct itimerspec at = { .it_value.tv_sec = time(NULL) + seconds };
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME | flags, &at, NULL) == 0);
}

int main(void)
{
	int cancelled = timerfd_create(CLOCK_REALTIME, 0);
	int day = timerfd_create(CLOCK_REALTIME, 0);
	uint64_t expirations;

	CHECK(cancelled >= 0 && day >= 0);
	for (;;) {
		int64_t real = ahead(CLOCK_REALTIME), boot = ahead(CLOCK_BOOTTIME);
		int64_t coarse = ahead(CLOCK_REALTIME_COARSE), before = nanoseconds(CLOCK_MONOTONIC);
		set_timer(cancelled, FAR_AHEAD, TFD_TIMER_CANCEL_ON_SET);
		set_timer(day, AHEAD, 0);
		printf("ready %.3f\n", nanoseconds(CLOCK_MONOTONIC) / 1e9);
		fflush(stdout);
		CHECK_ERROR(read(cancelled, &expirations, sizeof expirations), ECANCELED);
		real = ahead(CLOCK_REALTIME) - real;
		boot = ahead(CLOCK_BOOTTIME) - boot;
		coarse = ahead(CLOCK_REALTIME_COARSE) - coarse;
		before = nanoseconds(CLOCK_MONOTONIC) - before;
		CHECK(before >= 0 && before < 600 * 1000000000LL);
		CHECK(seconds(coarse) == seconds(real));
		/* The timer is due at once, or not for long. */
		struct pollfd fired = { .fd = day, .events = POLLIN };
		int is_due = poll(&fired, 1, seconds(real) >= AHEAD ? 60000 : 0);
		CHECK(is_due >= 0);
		printf("leapt: real %ld, boot %ld, the timer %s\n", seconds(real), seconds(boot),
			is_due ? "has fired" : "waits");
		if (failures) return 1;
	}
}
