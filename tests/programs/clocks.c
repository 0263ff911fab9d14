// SPDX-License-Identifier: MIT
// Clocks are read without a system call, agree with the system calls, and do not keep a signal from a loop that reads them.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include "check.h"

/* Of 32-bit architectures that never had the other. */
#ifndef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime64
#endif

static const clockid_t here[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};
enum { CLOCKS = sizeof here / sizeof *here, ROUNDS = 20000 };

static int64_t nanoseconds(const struct timespec *time)
{
	return time->tv_sec * 1000000000LL + time->tv_nsec;
}

static int64_t by_library(clockid_t clock)
{
	struct timespec time = { .tv_nsec = -1 };
	CHECK(clock_gettime(clock, &time) == 0);
	CHECK(time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
	return nanoseconds(&time);
}

static int64_t by_call(clockid_t clock)
{
	struct timespec time;
	CHECK(syscall(SYS_clock_gettime, clock, &time) == 0);
	return nanoseconds(&time);
}

static void agree(void)
{
	for (int i = 0; i < CLOCKS; i++)
		for (int round = 0; round < ROUNDS; round++) {
			int64_t before = by_call(here[i]);
			int64_t time = by_library(here[i]);
			int64_t after = by_call(here[i]);
			CHECK(before <= time && time <= after);
			if (failures) return;
		}
	puts("both ways agree");
}

static void others(void)
{
	struct timespec time;
	struct timeval day;

	for (int round = 0; round < 1000; round++) {
		clock_gettime(CLOCK_REALTIME, &time);
		CHECK(gettimeofday(&day, NULL) == 0);
		int64_t microseconds = day.tv_sec * 1000000LL + day.tv_usec;
		CHECK(microseconds >= nanoseconds(&time) / 1000);
		CHECK(microseconds <= by_library(CLOCK_REALTIME) / 1000);
	}
	CHECK(clock_gettime(CLOCK_MONOTONIC_RAW, &time) == 0 && nanoseconds(&time) > 0);
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 && nanoseconds(&time) > 0);
	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 && nanoseconds(&time) > 0);
	CHECK_ERROR(clock_gettime(10, &time), EINVAL);
	CHECK_ERROR(clock_gettime(12, &time), EINVAL);
	CHECK_ERROR(clock_gettime(0x7fffffff, &time), EINVAL);
	CHECK_ERROR(clock_gettime(-1, &time), EINVAL);
	puts("other clocks");
}

/* The latest time that either thread has seen. */
static _Atomic int64_t seen;
static atomic_int backward;

static void *read_in_turns(void *clock)
{
	for (int round = 0; round < 10 * ROUNDS; round++) {
		int64_t before = atomic_load(&seen);
		int64_t time = by_library((clockid_t)(intptr_t)clock);
		if (time < before) atomic_fetch_add(&backward, 1);
		while (before < time && !atomic_compare_exchange_weak(&seen, &before, time)) { }
	}
	return NULL;
}

static void no_thread_is_behind(void)
{
	pthread_t other;

	CHECK(pthread_create(&other, NULL, read_in_turns, (void *)CLOCK_MONOTONIC) == 0);
	read_in_turns((void *)CLOCK_MONOTONIC);
	pthread_join(other, NULL);
	CHECK(backward == 0);
	puts("threads see one clock");
}

/* From here on the process's calls for a clock fail with E2BIG. */
static int refuse_calls(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | E2BIG),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof lines / sizeof *lines, lines };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/*
 * Who is preempted, or reads while the timekeeper is being updated, asks the kernel the next time. That is one reading
 * of many: readings make no system call by themselves.
 */
static void without_calls(void)
{
	fflush(stdout);
	pid_t child = fork();
	int status, asked = 0;

	if (child == 0) {
		struct timespec time;
		failures = 0;
		CHECK(refuse_calls() == 0);
		CHECK_ERROR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time), E2BIG);
		for (int i = 0; i < CLOCKS; i++)
			for (int round = 0; round < ROUNDS; round++)
				if (clock_gettime(here[i], &time)) asked++;
		CHECK(asked < CLOCKS * ROUNDS / 100);
		fflush(stdout);
		_exit(failures != 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	puts("no system call is made");
}

static volatile sig_atomic_t alarms;
static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void handlers_run(void)
{
	struct itimerval every = { .it_interval.tv_usec = 2000, .it_value.tv_usec = 2000 };

	signal(SIGALRM, on_alarm);
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (alarms < 5) by_library(CLOCK_MONOTONIC);
	CHECK(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL) == 0);
	puts("handlers run in a loop that reads the clock");
}

static void stops_and_ends(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		for (;;) by_library(CLOCK_REALTIME);
	CHECK(kill(child, SIGSTOP) == 0);
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(kill(child, SIGTERM) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	puts("such a loop stops, goes on and ends");
}

int main(void)
{
	agree();
	others();
	no_thread_is_behind();
	without_calls();
	handlers_run();
	stops_and_ends();
	return failures != 0;
}
