// SPDX-License-Identifier: MIT
// Threads: attributes, 64 at once, every kind of lock, memory that one of them grows, fork with handlers, the main thread's end.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define MANY 64

static pthread_t thread[MANY];
static pthread_barrier_t barrier;
static atomic_int serial, inside, most, steps;

static int status_of(pid_t child)
{
	int status;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct timespec after(clockid_t clock, long milliseconds)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += milliseconds * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static _Thread_local long own[100] = { [99] = 7 };
static void *at_once(void *argument)
{
	if (own[99] != 7 || own[0] != 0) CHECK(!"fresh");
	own[0] = (long)argument;
	/* All of them are here at the same time, three times. */
	for (int round = 0; round < 3; round++) {
		inside++;
		int result = pthread_barrier_wait(&barrier);
		if (result == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
		else if (result != 0) CHECK(!"barrier");
		if (inside != MANY * (round + 1)) CHECK(!"all inside");
		pthread_barrier_wait(&barrier);
	}
	return (void *)(own[0] + own[99]);
}

static void many(void)
{
	void *result;
	CHECK(pthread_barrier_init(&barrier, NULL, MANY) == 0);
	for (long i = 0; i < MANY; i++) CHECK(pthread_create(&thread[i], NULL, at_once, (void *)i) == 0);
	for (long i = 0; i < MANY; i++) CHECK(pthread_join(thread[i], &result) == 0 && result == (void *)(i + 7));
	CHECK(serial == 3 && pthread_barrier_destroy(&barrier) == 0);
	CHECK(pthread_barrier_init(&barrier, NULL, 0) == EINVAL);
	puts("64 at once");
}

/* Uses as much of its stack as it was promised. */
static void *use_stack(void *argument)
{
	pthread_attr_t attributes;
	void *lowest;
	size_t size, wanted = (size_t)argument;
	char here;
	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0 && pthread_attr_getstack(&attributes, &lowest, &size) == 0);
	CHECK(size >= wanted && &here > (char *)lowest && &here < (char *)lowest + size);
	char *volatile memory = __builtin_alloca(wanted - wanted / 4);
	memset(memory, 1, wanted - wanted / 4);
	CHECK(memory >= (char *)lowest);
	return memory;
}

static void *nothing(void *argument) { return argument; }

static void attributes(void)
{
	pthread_attr_t attributes;
	void *result;
	size_t size;
	int state;
	static char stack[65536] __attribute__((aligned(16)));
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, 100) == EINVAL);
	for (size_t wanted = 32768; wanted <= 16 << 20; wanted *= 8) {
		CHECK(pthread_attr_setstacksize(&attributes, wanted) == 0 && pthread_attr_getstacksize(&attributes, &size) == 0 && size == wanted);
		CHECK(pthread_create(&thread[0], &attributes, use_stack, (void *)wanted) == 0 && pthread_join(thread[0], NULL) == 0);
	}
	CHECK(pthread_attr_setguardsize(&attributes, 8192) == 0 && pthread_attr_getguardsize(&attributes, &size) == 0 && size == 8192);
	CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0);
	CHECK(pthread_create(&thread[0], &attributes, use_stack, (void *)32768) == 0 && pthread_join(thread[0], &result) == 0);
	CHECK((char *)result >= stack && (char *)result < stack + sizeof stack);
	CHECK(pthread_attr_destroy(&attributes) == 0 && pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_getdetachstate(&attributes, &state) == 0 && state == PTHREAD_CREATE_JOINABLE);
	CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
	/* What has ended is used again. */
	for (int i = 0; i < 200; i++) CHECK(pthread_create(&thread[0], i % 2 ? &attributes : NULL, nothing, NULL) == 0 && (i % 2 || pthread_join(thread[0], NULL) == 0));
	puts("attributes");
}

static pthread_mutex_t mutex;
static pthread_cond_t condition;
static pthread_rwlock_t rwlock;
static pthread_spinlock_t spin;
static sem_t semaphore;
static long counter;

static void *spin_count(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		pthread_spin_lock(&spin);
		counter++;
		pthread_spin_unlock(&spin);
	}
	return NULL;
}

static void *read_lock(void *unused)
{
	CHECK(pthread_rwlock_rdlock(&rwlock) == 0);
	int now = ++inside;
	if (now > most) most = now;
	sem_post(&semaphore);
	/* Until all of the readers are inside, which only sharing lets them. */
	while (most < 4) sched_yield();
	inside--;
	CHECK(pthread_rwlock_unlock(&rwlock) == 0);
	return NULL;
}

static void *write_lock(void *unused)
{
	for (int i = 0; i < 1000; i++) {
		CHECK(pthread_rwlock_wrlock(&rwlock) == 0);
		counter++;
		CHECK(pthread_rwlock_unlock(&rwlock) == 0);
	}
	return NULL;
}

static void *lock_and_end(void *unused)
{
	CHECK(pthread_mutex_lock(&mutex) == 0);
	return NULL;
}

static void *try_lock(void *unused) { return (void *)(intptr_t)pthread_mutex_trylock(&mutex); }
static int tried(void)
{
	void *result;
	CHECK(pthread_create(&thread[0], NULL, try_lock, NULL) == 0 && pthread_join(thread[0], &result) == 0);
	return (intptr_t)result;
}

static void *lock_in_order(void *argument)
{
	CHECK(pthread_mutex_lock(&mutex) == 0);
	steps++;
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	return NULL;
}

static void locks(void)
{
	struct timespec end;
	CHECK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, spin_count, NULL) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(counter == 80000 && pthread_spin_trylock(&spin) == 0 && pthread_spin_trylock(&spin) == EBUSY && pthread_spin_unlock(&spin) == 0);

	CHECK(pthread_rwlock_init(&rwlock, NULL) == 0 && sem_init(&semaphore, 0, 0) == 0);
	inside = 0;
	for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, read_lock, NULL) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(most == 4);
	counter = 0;
	for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, write_lock, NULL) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(counter == 4000);
	CHECK(pthread_rwlock_rdlock(&rwlock) == 0 && pthread_rwlock_tryrdlock(&rwlock) == 0 && pthread_rwlock_trywrlock(&rwlock) == EBUSY);
	end = after(CLOCK_REALTIME, 10);
	CHECK(pthread_rwlock_timedwrlock(&rwlock, &end) == ETIMEDOUT);
	CHECK(pthread_rwlock_unlock(&rwlock) == 0 && pthread_rwlock_unlock(&rwlock) == 0 && pthread_rwlock_destroy(&rwlock) == 0);

	/* Both clocks; a deadline that has passed. */
	const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };
	for (int i = 0; i < 2; i++) {
		pthread_condattr_t attribute;
		clockid_t now;
		CHECK(pthread_condattr_init(&attribute) == 0 && pthread_condattr_setclock(&attribute, clocks[i]) == 0);
		CHECK(pthread_condattr_getclock(&attribute, &now) == 0 && now == clocks[i]);
		CHECK(pthread_cond_init(&condition, &attribute) == 0 && pthread_mutex_init(&mutex, NULL) == 0);
		CHECK(pthread_mutex_lock(&mutex) == 0);
		end = after(clocks[i], 30);
		CHECK(pthread_cond_timedwait(&condition, &mutex, &end) == ETIMEDOUT);
		struct timespec now_is;
		clock_gettime(clocks[i], &now_is);
		CHECK(now_is.tv_sec > end.tv_sec || (now_is.tv_sec == end.tv_sec && now_is.tv_nsec >= end.tv_nsec));
		CHECK(pthread_cond_timedwait(&condition, &mutex, &end) == ETIMEDOUT);
		CHECK(tried() == EBUSY && pthread_mutex_unlock(&mutex) == 0 && pthread_cond_destroy(&condition) == 0);
		pthread_mutex_destroy(&mutex);
	}

	/* Kinds of mutexes. */
	pthread_mutexattr_t attribute;
	CHECK(pthread_mutexattr_init(&attribute) == 0 && pthread_mutexattr_settype(&attribute, PTHREAD_MUTEX_RECURSIVE) == 0);
	CHECK(pthread_mutex_init(&mutex, &attribute) == 0 && pthread_mutex_lock(&mutex) == 0 && pthread_mutex_lock(&mutex) == 0);
	CHECK(pthread_mutex_unlock(&mutex) == 0 && tried() == EBUSY && pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_mutexattr_settype(&attribute, PTHREAD_MUTEX_ERRORCHECK) == 0 && pthread_mutex_init(&mutex, &attribute) == 0);
	CHECK(pthread_mutex_unlock(&mutex) == EPERM && pthread_mutex_lock(&mutex) == 0 && pthread_mutex_lock(&mutex) == EDEADLK);
	end = after(CLOCK_REALTIME, 10);
	CHECK(pthread_mutex_unlock(&mutex) == 0);

	/* Robust: the next owner learns that the last one died with it. */
	CHECK(pthread_mutexattr_init(&attribute) == 0 && pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutex_init(&mutex, &attribute) == 0);
	CHECK(pthread_create(&thread[0], NULL, lock_and_end, NULL) == 0 && pthread_join(thread[0], NULL) == 0);
	CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD && pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_create(&thread[0], NULL, lock_and_end, NULL) == 0 && pthread_join(thread[0], NULL) == 0);
	CHECK(tried() == EOWNERDEAD);	/* and ended without making it consistent */
	CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD && pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_mutex_lock(&mutex) == ENOTRECOVERABLE);

	/* Priority inheritance, which may not be supported, but then must say so. */
	CHECK(pthread_mutexattr_init(&attribute) == 0);
	int result = pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT);
	if (result == 0) {
		CHECK(pthread_mutex_init(&mutex, &attribute) == 0 && pthread_mutex_lock(&mutex) == 0 && tried() == EBUSY);
		for (int i = 0; i < 8; i++) CHECK(pthread_create(&thread[i], NULL, lock_in_order, NULL) == 0);
		CHECK(pthread_mutex_unlock(&mutex) == 0);
		for (int i = 0; i < 8; i++) CHECK(pthread_join(thread[i], NULL) == 0);
		CHECK(steps == 8);
	} else {
		CHECK(result == ENOTSUP);
	}
	printf("locks, priority inheritance %s\n", result == 0 ? "supported" : "not supported");
}

/* What one has grown the others use at once, and nobody's growth is lost. */
static char *_Atomic block[64];
static void *grow(void *argument)
{
	int me = (intptr_t)argument;
	for (int i = me; i < 64; i += 4) {
		char *p = mmap(NULL, 65536 + 4096 * i, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			CHECK(!"mapped");
			break;
		}
		p[0] = p[65535 + 4096 * i] = i;
		block[i] = p;
		/* The next is another thread's. */
		while (i + 1 < 64 && !block[i + 1]) sched_yield();
		if (i + 1 < 64 && (block[i + 1][0] != (char)(i + 1) || block[i + 1][65535 + 4096 * (i + 1)] != (char)(i + 1)))
			CHECK(!"seen");
	}
	return NULL;
}

static void growth(void)
{
	for (long i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, grow, (void *)i) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	for (int i = 0; i < 64; i++) CHECK(munmap(block[i], 65536 + 4096 * i) == 0);
	puts("growth");
}

static char log_of[64];
static void note(const char *what) { strcat(log_of, what); }
static void prepare_one(void) { note("p1"); }
static void prepare_two(void) { note("p2"); }
static void parent_one(void) { note("P1"); }
static void parent_two(void) { note("P2"); }
static void child_one(void) { note("C1"); }
static void child_two(void) { note("C2"); }

static atomic_int stop;
static void *allocate(void *unused)
{
	while (!stop) free(malloc(1 + rand() % 5000));
	return NULL;
}

static void forks(void)
{
	CHECK(pthread_atfork(prepare_one, parent_one, child_one) == 0 && pthread_atfork(prepare_two, parent_two, child_two) == 0);
	for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread[i], NULL, allocate, NULL) == 0);
	/* In whatever the others are doing with the allocator, the child can use it, and has one thread. */
	for (int i = 0; i < 20; i++) {
		*log_of = '\0';
		pid_t child = fork();
		if (child == 0) {
			int good = strcmp(log_of, "p2p1C1C2") == 0;
			for (int k = 0; k < 100; k++) free(malloc(k * 100));
			CHECK(pthread_create(&thread[0], NULL, nothing, NULL) == 0 && pthread_join(thread[0], NULL) == 0);
			_exit(good && !failures ? 5 : 1);
		}
		CHECK(strcmp(log_of, "p2p1P1P2") == 0 && status_of(child) == 5);
	}
	stop = 1;
	for (int i = 0; i < 3; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	puts("forks");
}

static pthread_t main_thread;
static void *outlive(void *unused)
{
	void *result;
	CHECK(pthread_join(main_thread, &result) == 0 && result == (void *)4);
	/* The process is still there, and so is what the main thread had. */
	CHECK(gettid() != getpid());
	puts("outlived");
	fflush(stdout);
	exit(failures != 0);
}

int main(void)
{
	many();
	attributes();
	locks();
	growth();
	forks();
	main_thread = pthread_self();
	CHECK(pthread_create(&thread[0], NULL, outlive, NULL) == 0);
	pthread_exit((void *)4);
}
