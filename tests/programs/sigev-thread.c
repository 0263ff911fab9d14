// SPDX-License-Identifier: MIT
// A timer that calls a function in a thread: the C library needs setjmp for it, in a program without fork.
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include "check.h"

static sem_t called;
static pthread_t first;
static int calls;

static void function(union sigval value)
{
	/* It may be called once more before it is deleted. */
	if (++calls > 2) return;
	printf("called with %d, %s thread\n", value.sival_int, pthread_equal(pthread_self(), first) ? "the first" : "another");
	CHECK(sem_post(&called) == 0);
}

int main(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = function,
		.sigev_value.sival_int = 42,
	};
	struct itimerspec in = { .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 };
	timer_t timer;

	first = pthread_self();
	CHECK(sem_init(&called, 0, 0) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &in, 0) == 0);
	CHECK(sem_wait(&called) == 0 && sem_wait(&called) == 0);
	CHECK(timer_delete(timer) == 0);
	puts("deleted");
	fflush(stdout);
	_Exit(failures != 0);
}
