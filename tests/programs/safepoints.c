// SPDX-License-Identifier: MIT
// -fsafepoints: signals and cancellation reach loops that make no system calls.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t caught;
static volatile int spinning, stop;
static pthread_t caught_in;
static pthread_spinlock_t lock;

static void on_signal(int signal)
{
	caught_in = pthread_self();
	caught++;
}

static void *spin_until_caught(void *unused)
{
	spinning = 1;
	while (!caught);
	return NULL;
}

static void *spin_for_ever(void *unused)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	spinning = 1;
	for (;;);
}

/* No loop: every call must be able to stop. */
__attribute__((noinline)) static unsigned long recursion(unsigned n)
{
	if (stop || n < 2) return n;
	return recursion(n - 1) + recursion(n - 2);
}

static void *recurse(void *unused)
{
	spinning = 1;
	recursion(200);
	return NULL;
}

static void on_stop(int signal)
{
	stop = 1;
}

static void *wait_for_lock(void *unused)
{
	spinning = 1;
	pthread_spin_lock(&lock);
	pthread_spin_unlock(&lock);
	return NULL;
}

static pthread_t start(void *(*function)(void *))
{
	pthread_t thread;
	spinning = 0;
	CHECK(pthread_create(&thread, NULL, function, NULL) == 0);
	while (!spinning);
	return thread;
}

int main(void)
{
	void *result;

	signal(SIGALRM, on_signal);
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	while (!caught);
	CHECK(caught == 1);
	puts("a timer in a loop");

	caught = 0;
	signal(SIGUSR1, on_signal);
	pthread_t other = start(spin_for_ever);
	pthread_t thread = start(spin_until_caught);
	CHECK(pthread_kill(thread, SIGUSR1) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(caught == 1 && pthread_equal(caught_in, thread));
	puts("one of two spinning threads");

	CHECK(pthread_cancel(other) == 0 && pthread_join(other, &result) == 0 && result == PTHREAD_CANCELED);
	puts("cancelled");

	signal(SIGUSR2, on_stop);
	thread = start(recurse);
	CHECK(pthread_kill(thread, SIGUSR2) == 0 && pthread_join(thread, NULL) == 0);
	puts("recursion");

	/* The C library's loops have safepoints too. */
	caught = 0;
	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_lock(&lock);
	thread = start(wait_for_lock);
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	while (!caught);
	CHECK(pthread_equal(caught_in, thread));
	pthread_spin_unlock(&lock);
	CHECK(pthread_join(thread, NULL) == 0);
	puts("in the C library");
	puts("safepoints done");
	return failures != 0;
}
