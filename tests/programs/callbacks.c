// SPDX-License-Identifier: MIT
// Functions of other types than the C library calls, as programs without prototypes have them.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include "check.h"

#define AS(type, function) ((type)(uintptr_t)(function))

typedef void (*Handler)(int);
typedef void (*SigactionHandler)(int, siginfo_t *, void *);
typedef void *(*Thread)(void *);
typedef void (*Destructor)(void *);

static int calls;

static void handler_without_parameter(void) { calls += 1; }
static int handler_with_result(int signal) { return calls += signal; }
static void *handler_of_two(int signal, siginfo_t *info) { calls += info->si_signo == signal ? 1000 : 0; return &calls; }
static void *thread_without_parameter(void) { return &calls; }
static void thread_without_result(void *counter) { ++*(int *)counter; }
static void thread_of_nothing(void) { calls += 10; }
static void destructor_without_parameter(void) { calls += 100; }
static int once_with_result(void) { return ++calls; }
static int cleanup_with_result(int *counter) { return ++*counter; }
static int at_exit_with_result(void) { return puts("at exit"); }

static sem_t notified;
static void notification_without_parameter(void) { sem_post(&notified); }

static pthread_key_t key;

static void *thread(void *argument)
{
	CHECK(pthread_setspecific(key, argument) == 0);
	pthread_cleanup_push(AS(Destructor, cleanup_with_result), argument);
	pthread_exit(NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *run(Thread function)
{
	pthread_t thread;
	void *result = NULL;
	CHECK(pthread_create(&thread, NULL, function, &calls) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	return result;
}

static int called(void)
{
	int count = calls;
	calls = 0;
	return count;
}

int main(void)
{
	signal(SIGUSR1, AS(Handler, handler_without_parameter));
	raise(SIGUSR1);
	CHECK(called() == 1);
	signal(SIGUSR1, AS(Handler, handler_with_result));
	raise(SIGUSR1);
	CHECK(called() == SIGUSR1);
	struct sigaction action = { .sa_sigaction = AS(SigactionHandler, handler_of_two), .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	raise(SIGUSR2);
	CHECK(called() == 1000);

	CHECK(run(AS(Thread, thread_without_parameter)) == &calls);
	run(AS(Thread, thread_without_result));
	CHECK(called() == 1);
	run(AS(Thread, thread_of_nothing));
	CHECK(called() == 10);
	CHECK(pthread_key_create(&key, AS(Destructor, destructor_without_parameter)) == 0);
	run(thread);
	CHECK(called() == 101);

	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CHECK(pthread_once(&once, AS(void (*)(void), once_with_result)) == 0);
	CHECK(called() == 1);

	CHECK(sem_init(&notified, 0, 0) == 0);
	timer_t timer;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = AS(void (*)(union sigval), notification_without_parameter),
	};
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &(struct itimerspec){ .it_value.tv_nsec = 1000 }, NULL) == 0);
	while (sem_wait(&notified) != 0) {}
	CHECK(timer_delete(timer) == 0);

	CHECK(atexit(AS(void (*)(void), at_exit_with_result)) == 0);
	puts("called");
	return failures != 0;
}
