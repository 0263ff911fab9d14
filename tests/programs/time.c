// SPDX-License-Identifier: MIT
// Clocks, sleeping, timers, and calendar time beyond 2038.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static long long now(clockid_t clock)
{
	struct timespec t;
	CHECK(clock_gettime(clock, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void)
{
	CHECK(sizeof(time_t) == 8);
	time_t t = time(NULL);
	CHECK(t > 1700000000);
	struct timeval tv;
	CHECK(gettimeofday(&tv, NULL) == 0 && llabs(tv.tv_sec - t) <= 1);
	CHECK(llabs(now(CLOCK_REALTIME) / 1000000000 - t) <= 1);

	long long before = now(CLOCK_MONOTONIC), last = before;
	for (int i = 0; i < 10000; i++) {
		long long here = now(CLOCK_MONOTONIC);
		if (here < last) CHECK(!"monotonic");
		last = here;
	}
	before = now(CLOCK_MONOTONIC);
	CHECK(usleep(50000) == 0);
	long long slept = now(CLOCK_MONOTONIC) - before;
	CHECK(slept >= 50000000 && slept < 2000000000);
	before = now(CLOCK_MONOTONIC);
	long long until = before + 30000000;
	struct timespec absolute = { until / 1000000000, until % 1000000000 };
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, NULL) == 0 && now(CLOCK_MONOTONIC) >= until);
	struct timespec resolution;
	CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec > 0);
	CHECK(times(&(struct tms){ 0 }) != (clock_t)-1);
	puts("clocks");

	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec each = { { 0, 10000000 }, { 0, 10000000 } };
	CHECK(fd >= 0 && timerfd_settime(fd, 0, &each, NULL) == 0);
	unsigned long long expired, total = 0;
	while (total < 5) {
		CHECK(read(fd, &expired, sizeof expired) == sizeof expired);
		total += expired;
	}
	CHECK(now(CLOCK_MONOTONIC) - until >= 50000000);
	close(fd);

	timer_t timer;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 55 };
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	each = (struct itimerspec){ { 0, 0 }, { 0, 10000000 } };
	CHECK(timer_settime(timer, 0, &each, NULL) == 0);
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_TIMER && info.si_value.sival_int == 55);
	CHECK(timer_delete(timer) == 0);
	puts("timers");

	char text[64];
	setenv("TZ", "UTC0", 1);
	t = 4102444800;
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %A", gmtime(&t));
	puts(text);
	struct tm tm = { .tm_year = 170, .tm_mon = 1, .tm_mday = 28 };
	printf("%lld\n", (long long)mktime(&tm));
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	t = 1720000000;
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", localtime(&t));
	puts(text);
	return failures != 0;
}
