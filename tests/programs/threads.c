// SPDX-License-Identifier: MIT
// Threads: creation, exclusion, conditions, thread-local storage, detach, signals, fork.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define THREADS 4

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static atomic_long atomic_counter;
static int turn;
static _Thread_local int own = 42;
static _Thread_local char zeroed[100];

static void *add(void *argument)
{
	CHECK(own == 42 && zeroed[50] == 0);	/* a fresh copy of the image */
	own = (int)(intptr_t)argument;
	zeroed[50] = 1;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		atomic_counter++;
	}
	errno = own;
	sched_yield();
	CHECK(own == (int)(intptr_t)argument && errno == own);
	return (void *)(intptr_t)(own * 2);
}

static void *take_turns(void *argument)
{
	int me = (int)(intptr_t)argument;
	for (int round = 0; round < 100; round++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != me) pthread_cond_wait(&condition, &mutex);
		turn++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static sem_t done;
static void *detached(void *argument)
{
	pthread_detach(pthread_self());
	sem_post(&done);
	return NULL;
}

static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void *value) { destroyed += (int)(intptr_t)value; }
static void *with_key(void *argument)
{
	pthread_setspecific(key, argument);
	pthread_exit(NULL);
}

static pthread_t handled_by;
static void handler(int number) { handled_by = pthread_self(); sem_post(&done); }
static void *wait_for_signal(void *argument)
{
	/* With the signal blocked it cannot come before the wait, as it could with pause(). */
	sigset_t blocked, waiting;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	CHECK(pthread_sigmask(SIG_BLOCK, &blocked, &waiting) == 0);
	sem_post(&done);
	while (!handled_by) sigsuspend(&waiting);
	return NULL;
}

static void *fork_in_thread(void *argument)
{
	volatile int local = 5;
	pid_t child = fork();
	if (child == 0) _exit(local == 5 && own == 42 ? 31 : 1);
	int status;
	waitpid(child, &status, 0);
	return (void *)(intptr_t)WEXITSTATUS(status);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_called;
static void call_once(void) { once_called++; }
static void *use_once(void *argument) { pthread_once(&once, call_once); return NULL; }

static void start(pthread_t *threads, void *(*function)(void *))
{
	for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, function, (void *)(intptr_t)i) == 0);
}

int main(void)
{
	pthread_t threads[THREADS];
	void *result;
	start(threads, add);
	for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], &result) == 0 && (intptr_t)result == 2 * i);
	printf("counted %ld and %ld\n", counter, (long)atomic_counter);
	CHECK(own == 42);

	start(threads, take_turns);
	for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
	printf("%d turns\n", turn);

	sem_init(&done, 0, 0);
	for (int i = 0; i < 20; i++) {
		CHECK(pthread_create(&threads[0], NULL, detached, NULL) == 0);
		sem_wait(&done);
	}
	puts("detached");

	pthread_key_create(&key, destroy);
	CHECK(pthread_create(&threads[0], NULL, with_key, (void *)11) == 0 && pthread_join(threads[0], NULL) == 0);
	CHECK(destroyed == 11);

	start(threads, use_once);
	for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
	CHECK(once_called == 1);

	signal(SIGUSR1, handler);
	CHECK(pthread_create(&threads[0], NULL, wait_for_signal, NULL) == 0);
	sem_wait(&done);
	CHECK(pthread_kill(threads[0], SIGUSR1) == 0);
	while (sem_wait(&done) != 0) { }
	CHECK(pthread_equal(handled_by, threads[0]) && pthread_join(threads[0], NULL) == 0);
	puts("signal to a thread");

	CHECK(pthread_create(&threads[0], NULL, fork_in_thread, NULL) == 0 && pthread_join(threads[0], &result) == 0);
	CHECK((intptr_t)result == 31);
	puts("fork in a thread");

	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 30000000;
	if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);

	pthread_attr_t attributes;
	void *address = NULL;
	size_t size = 0;
	char here;
	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0 && pthread_attr_getstack(&attributes, &address, &size) == 0);
	CHECK(&here >= (char *)address && &here < (char *)address + size);
	return failures != 0;
}
