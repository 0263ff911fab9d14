// SPDX-License-Identifier: MIT
// Thread cancellation: in a blocking call, before one, disabled, and with cleanup handlers.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>
#include "check.h"

static sem_t ready, go;
static int ends[2], cleaned;
static void clean(void *argument) { cleaned += *(int *)argument; }

static void *block(void *argument)
{
	int amount = 3;
	char c;
	pthread_cleanup_push(clean, &amount);
	sem_post(&ready);
	read(ends[0], &c, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *disabled(void *argument)
{
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	sem_post(&ready);
	while (sem_wait(&go) != 0) { }
	usleep(1000);	/* a cancellation point, but not now */
	cleaned += 10;
	pthread_setcancelstate(old, NULL);
	pthread_testcancel();
	cleaned += 1000;
	return NULL;
}

static void *in_condition(void *argument)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push((void (*)(void *))clean, &(int){ 100 });
	sem_post(&ready);
	for (;;) pthread_cond_wait(&condition, &mutex);
	pthread_cleanup_pop(0);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *result;
	sem_init(&ready, 0, 0);
	sem_init(&go, 0, 0);
	CHECK(pipe(ends) == 0);

	CHECK(pthread_create(&thread, NULL, block, NULL) == 0);
	sem_wait(&ready);
	usleep(20000);
	CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	CHECK(cleaned == 3);

	CHECK(pthread_create(&thread, NULL, disabled, NULL) == 0);
	sem_wait(&ready);
	CHECK(pthread_cancel(thread) == 0);
	sem_post(&go);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 13);

	CHECK(pthread_create(&thread, NULL, in_condition, NULL) == 0);
	sem_wait(&ready);
	usleep(20000);
	CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	CHECK(cleaned == 113);
	/* what was written before the cancellation is still there */
	char c;
	CHECK(write(ends[1], "x", 1) == 1 && read(ends[0], &c, 1) == 1);
	puts("cancel done");
	return failures != 0;
}
