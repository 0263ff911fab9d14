// SPDX-License-Identifier: MIT
// Futexes never cross processes: copies of a program that waits on condition variables run at once, with all of them at the
// same addresses. "conditions SECONDS" goes on for so long; without it, each copy does a fixed number of rounds.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define THREADS 4
#define COPIES 2

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition[THREADS];
static sem_t semaphore;
static int turn, over;
static long rounds, limit;

/* Each waits for its turn and gives it to the next: a wake-up that went to another process would be the last one. */
static void *take_turns(void *argument)
{
	int me = (int)(long)argument;
	pthread_mutex_lock(&mutex);
	while (!over) {
		if (turn != me) {
			pthread_cond_wait(&condition[me], &mutex);
			continue;
		}
		turn = (turn + 1) % THREADS;
		if (++rounds == limit) over = 1;
		pthread_cond_signal(&condition[turn]);
		if (rounds % 64 == 0) sem_post(&semaphore);
	}
	for (int i = 0; i < THREADS; i++) pthread_cond_signal(&condition[i]);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void *consume(void *unused)
{
	for (long i = 0; i < limit / 64; i++) while (sem_wait(&semaphore) != 0) { }
	return NULL;
}

static int copy(int seconds)
{
	pthread_t thread[THREADS + 1];
	struct timespec now, end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do {
		turn = over = rounds = 0;
		limit = 6400;
		sem_init(&semaphore, 0, 0);
		for (int i = 0; i < THREADS; i++) {
			pthread_cond_init(&condition[i], NULL);
			CHECK(pthread_create(&thread[i], NULL, take_turns, (void *)(long)i) == 0);
		}
		CHECK(pthread_create(&thread[THREADS], NULL, consume, NULL) == 0);
		for (int i = 0; i <= THREADS; i++) CHECK(pthread_join(thread[i], NULL) == 0);
		CHECK(rounds == limit && turn == limit % THREADS);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	return failures ? 1 : 0;
}

static int word;

#ifndef SYS_futex_time64
#define SYS_futex_time64 SYS_futex
#endif

/* Whether who waits at an address is woken by another process at the same one. */
static void crossing(int private)
{
	int ends[2];
	CHECK(pipe(ends) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		char c;
		struct timespec soon = { 0, 1000000 };
		/* Not woken, however often the other tries, until it stops. */
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
		while (read(ends[0], &c, 1) == -1)
			if (syscall(SYS_futex_time64, &word, private, 0, &soon, NULL, 0) != -1 || errno != ETIMEDOUT) _exit(1);
		_exit(0);
	}
	close(ends[0]);
	for (int i = 0; i < 200; i++) {
		CHECK(syscall(SYS_futex_time64, &word, 1 | private, 1000, NULL, NULL, 0) == 0);
		usleep(100);
	}
	close(ends[1]);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 0, status;
	crossing(0);
	crossing(128);	/* FUTEX_PRIVATE_FLAG */
	puts("nothing crosses");
	fflush(stdout);
	pid_t child[COPIES];
	for (int i = 0; i < COPIES; i++) if ((child[i] = fork()) == 0) _exit(copy(seconds));
	for (int i = 0; i < COPIES; i++) CHECK(waitpid(child[i], &status, 0) == child[i] && status == 0);
	printf("%d copies\n", COPIES);
	return failures != 0;
}
