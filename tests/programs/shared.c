// SPDX-License-Identifier: MIT
// Memory shared between processes, each of which has a copy: what is ordered by system calls is seen, whatever it is mapped from.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "check.h"

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE, CHILDREN = 3, ROUNDS = 200 };

static void *anonymous(size_t size)
{
	void *memory = mmap(NULL, size, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	return memory;
}

static void reap(pid_t child)
{
	int status = -1;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* Runs @function in a child, which ends with whether its checks hold. */
static pid_t run(void (*function)(void *), void *argument)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		failures = 0;
		function(argument);
		fflush(stdout);
		_exit(failures != 0);
	}
	return child;
}

/* A program that tells another by a pipe, and one that is told. */
static int ends[2][2];
static void tell(int which)
{
	CHECK(write(ends[which][1], "x", 1) == 1);
}
static void told(int which)
{
	char byte;
	CHECK(read(ends[which][0], &byte, 1) == 1);
}

static void answer(void *argument)
{
	volatile int *memory = argument;
	told(0);
	CHECK(memory[0] == 1 && memory[PAGE] == 2 && memory[1] == 0);
	memory[1] = 3;
	memory[PAGE] = 4;
	tell(1);
	told(0);
	CHECK(memory[0] == 5);
	memory[2 * PAGE - 1] = 6;
}

static void test_orders(volatile int *memory)
{
	memory[0] = memory[1] = memory[PAGE] = 0;
	pid_t child = run(answer, (void *)memory);
	memory[0] = 1;
	memory[PAGE] = 2;
	tell(0);
	told(1);
	CHECK(memory[1] == 3 && memory[PAGE] == 4 && memory[0] == 1);
	memory[0] = 5;
	tell(0);
	reap(child);
	CHECK(memory[2 * PAGE - 1] == 6);
}

/* Bytes of one word by several programs at once. */
static void every_third(void *argument)
{
	unsigned char **start = argument;
	for (int i = 0; i < 2 * PAGE; i += CHILDREN) {
		(*start)[i] = 1 + i % 251;
		if (i % 100 == 0) getppid();
	}
}

static void test_neighbours(void)
{
	unsigned char *memory = anonymous(2 * PAGE + CHILDREN);
	unsigned char *start[CHILDREN];
	pid_t child[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		start[i] = memory + i;
		child[i] = run(every_third, &start[i]);
	}
	for (int i = 0; i < CHILDREN; i++) reap(child[i]);
	int wrong = 0;
	for (int i = 0; i < CHILDREN; i++)
		for (int at = 0; at < 2 * PAGE; at += CHILDREN) wrong += memory[i + at] != 1 + at % 251;
	CHECK(wrong == 0);
	CHECK(munmap(memory, 2 * PAGE + CHILDREN) == 0);
}

/* A program that waits without a system call sees what others store. */
static void spin(void *argument)
{
	volatile int *flag = argument;
	*(flag + 1) = 1;
	getppid();
	while (!*flag);
	CHECK(*flag == 7);
}

static void test_spinner(void)
{
	volatile int *flag = anonymous(PAGE);
	pid_t child = run(spin, (void *)flag);
	while (!flag[1]) usleep(500);
	*flag = 7;
	reap(child);
}

static const char path[] = "/tmp/shared-file";

/* Has the file mapped at another address, and was not there when others began. */
static void stranger(void *argument)
{
	int fd = open(path, O_RDWR);
	char *hole = anonymous(10 * PAGE), text[6] = "";
	char *memory = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED && hole != MAP_FAILED);
	CHECK(strcmp(memory + PAGE, "first") == 0);
	strcpy(memory + PAGE, "other");
	tell(1);
	told(0);
	CHECK(strcmp(memory + 100, "write") == 0);
	CHECK(pread(fd, text, 5, 200) == 5 && strcmp(text, "store") == 0);
	tell(1);
	told(0);
	/* The file was cut and grew again. */
	CHECK(memory[100] == 0 && memory[PAGE] == 0 && memory[50] == 'k');
}

static void test_file(void)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char text[6] = "";
	CHECK(ftruncate(fd, 3 * PAGE) == 0);
	char *memory = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	char *reader = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	strcpy(memory + PAGE, "first");
	CHECK(pread(fd, text, 5, PAGE) == 5 && strcmp(text, "first") == 0);
	getppid();
	CHECK(strcmp(reader, "first") == 0);
	pid_t child = run(stranger, NULL);
	told(1);
	CHECK(strcmp(memory + PAGE, "other") == 0 && strcmp(reader, "other") == 0);
	CHECK(pwrite(fd, "write", 6, 100) == 6);
	CHECK(strcmp(memory + 100, "write") == 0);
	strcpy(memory + 200, "store");
	memory[50] = 'k';
	tell(0);
	told(1);
	CHECK(ftruncate(fd, 60) == 0 && ftruncate(fd, 3 * PAGE) == 0);
	tell(0);
	reap(child);
	CHECK(memory[PAGE] == 0 && reader[0] == 0);
	/* What is no mapping any more is not written to by others, and a part goes on to follow. */
	CHECK(munmap(memory + PAGE, PAGE) == 0);
	CHECK(pwrite(fd, "x", 1, 2 * PAGE) == 1 && memory[2 * PAGE] == 'x');
	char *moved = mremap(memory, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved[50] == 'k');
	CHECK(pwrite(fd, "y", 1, PAGE + 1) == 1 && moved[PAGE + 1] == 'y' && reader[1] == 'y');
	CHECK(msync(moved, 2 * PAGE, MS_SYNC) == 0);
	moved[3] = 'z';
	CHECK(munmap(moved, 2 * PAGE) == 0 && munmap(memory + 2 * PAGE, PAGE) == 0);
	CHECK(pread(fd, text, 1, 3) == 1 && text[0] == 'z');
	close(fd);
	CHECK(unlink(path) == 0);
}

/* Primitives of POSIX between processes; all of it in one mapping. */
static struct primitives {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	pthread_barrier_t barrier;
	pthread_rwlock_t rwlock;
	pthread_spinlock_t spin;
	sem_t semaphore;
	int under_mutex, under_spin, under_rwlock, under_semaphore, turn;
} *primitives;

static void use_primitives(void *argument)
{
	int me = (intptr_t)argument;
	int serial = pthread_barrier_wait(&primitives->barrier);
	CHECK(serial == 0 || serial == PTHREAD_BARRIER_SERIAL_THREAD);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(pthread_mutex_lock(&primitives->mutex) == 0);
		primitives->under_mutex++;
		CHECK(pthread_mutex_unlock(&primitives->mutex) == 0);
		CHECK(pthread_spin_lock(&primitives->spin) == 0);
		primitives->under_spin++;
		CHECK(pthread_spin_unlock(&primitives->spin) == 0);
		CHECK(pthread_rwlock_wrlock(&primitives->rwlock) == 0);
		primitives->under_rwlock++;
		CHECK(pthread_rwlock_unlock(&primitives->rwlock) == 0);
		CHECK(sem_wait(&primitives->semaphore) == 0);
		primitives->under_semaphore++;
		CHECK(sem_post(&primitives->semaphore) == 0);
	}
	/* Everybody in turn. */
	CHECK(pthread_mutex_lock(&primitives->mutex) == 0);
	for (int i = 0; i < 20; i++) {
		while (primitives->turn % CHILDREN != me) CHECK(pthread_cond_wait(&primitives->condition, &primitives->mutex) == 0);
		primitives->turn++;
		CHECK(pthread_cond_broadcast(&primitives->condition) == 0);
	}
	CHECK(pthread_mutex_unlock(&primitives->mutex) == 0);
	pthread_barrier_wait(&primitives->barrier);
}

static void test_primitives(void)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t condition;
	pthread_barrierattr_t barrier;
	pthread_rwlockattr_t rwlock;
	pid_t child[CHILDREN];

	primitives = anonymous(sizeof *primitives);
	CHECK(pthread_mutexattr_init(&mutex) == 0 && pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_condattr_init(&condition) == 0 && pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_barrierattr_init(&barrier) == 0 && pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_rwlockattr_init(&rwlock) == 0 && pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_mutex_init(&primitives->mutex, &mutex) == 0);
	CHECK(pthread_cond_init(&primitives->condition, &condition) == 0);
	CHECK(pthread_barrier_init(&primitives->barrier, &barrier, CHILDREN) == 0);
	CHECK(pthread_rwlock_init(&primitives->rwlock, &rwlock) == 0);
	CHECK(pthread_spin_init(&primitives->spin, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(sem_init(&primitives->semaphore, 1, 1) == 0);
	for (intptr_t i = 0; i < CHILDREN; i++) child[i] = run(use_primitives, (void *)i);
	for (int i = 0; i < CHILDREN; i++) reap(child[i]);
	CHECK(primitives->under_mutex == CHILDREN * ROUNDS);
	CHECK(primitives->under_spin == CHILDREN * ROUNDS);
	CHECK(primitives->under_rwlock == CHILDREN * ROUNDS);
	CHECK(primitives->under_semaphore == CHILDREN * ROUNDS);
	CHECK(primitives->turn == CHILDREN * 20);
}

/* More programs than memories that every worker knows. */
enum { HERD = 24 };
static struct herd {
	pthread_barrier_t barrier;
	unsigned char byte[HERD];
} *herd;

static void join_herd(void *argument)
{
	int me = (intptr_t)argument, wrong = 0;
	for (int round = 1; round <= 3; round++) {
		herd->byte[me] = me + round;
		pthread_barrier_wait(&herd->barrier);
		for (int i = 0; i < HERD; i++) wrong += herd->byte[i] != i + round;
		pthread_barrier_wait(&herd->barrier);
	}
	CHECK(wrong == 0);
}

static void test_herd(void)
{
	pthread_barrierattr_t kind;
	pid_t child[HERD];
	herd = anonymous(sizeof *herd);
	CHECK(pthread_barrierattr_init(&kind) == 0 && pthread_barrierattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_barrier_init(&herd->barrier, &kind, HERD) == 0);
	for (intptr_t i = 0; i < HERD; i++) child[i] = run(join_herd, (void *)i);
	for (int i = 0; i < HERD; i++) reap(child[i]);
	for (int i = 0; i < HERD; i++) CHECK(herd->byte[i] == i + 3);
	CHECK(munmap(herd, sizeof *herd) == 0);
}

/* Whoever waits for a mutex learns that its owner died. */
static void lock_and_die(void *mutex)
{
	CHECK(pthread_mutex_lock(mutex) == 0);
	tell(1);
	told(0);
}

static void wait_for_dead(void *mutex)
{
	CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(mutex) == 0);
	CHECK(pthread_mutex_unlock(mutex) == 0);
}

static void test_robust(void)
{
	pthread_mutex_t *mutex = anonymous(PAGE);
	pthread_mutexattr_t kind;
	CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutex_init(mutex, &kind) == 0);
	pid_t owner = run(lock_and_die, mutex);
	told(1);
	CHECK(pthread_mutex_trylock(mutex) == EBUSY);
	pid_t child = run(wait_for_dead, mutex);
	wait_until_asleep(child);
	tell(0);
	reap(owner);
	reap(child);
	CHECK(pthread_mutex_lock(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
}

/* A named semaphore is a file in memory. */
static void open_and_post(void *argument)
{
	sem_t *semaphore = sem_open("/shared-test", 0);
	CHECK(semaphore != SEM_FAILED);
	CHECK(sem_wait(semaphore) == 0);
	CHECK(sem_post(semaphore) == 0 && sem_post(semaphore) == 0);
}

static void test_named_semaphore(void)
{
	int value;
	sem_t *semaphore = sem_open("/shared-test", O_CREAT | O_EXCL, 0600, 0);
	CHECK(semaphore != SEM_FAILED);
	pid_t child = run(open_and_post, NULL);
	CHECK(sem_post(semaphore) == 0);
	reap(child);
	CHECK(sem_getvalue(semaphore, &value) == 0 && value == 2);
	CHECK(sem_wait(semaphore) == 0);
	CHECK(sem_close(semaphore) == 0 && sem_unlink("/shared-test") == 0);
}

static long futex(uint32_t *word, int operation, uint32_t value)
{
	return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* A futex of a shared mapping is one for all, whatever its address, and a private one is not. */
static void wait_on_word(void *argument)
{
	CHECK(futex(argument, FUTEX_WAIT, 3) == 0);
}

static void test_futex(void)
{
	uint32_t *word = anonymous(PAGE);
	*word = 3;
	pid_t child = run(wait_on_word, word);
	wait_until_asleep(child);
	CHECK(futex(word, FUTEX_WAKE_PRIVATE, 1) == 0);
	long woken;
	while ((woken = futex(word, FUTEX_WAKE, 1)) == 0) usleep(500);
	CHECK(woken == 1);
	reap(child);
}

/* A file without a name, which a child has by its number. */
static void fill(void *argument)
{
	char *memory = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, (intptr_t)argument, 0);
	CHECK(memory != MAP_FAILED && strcmp(memory, "from the parent") == 0);
	strcpy(memory + 100, "from the child");
}

static void test_memfd(void)
{
	char link[40], name[40] = "", text[20] = "";
	int fd = memfd_create("shared", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	sprintf(link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, name, sizeof name - 1) > 0 && strcmp(name, "/memfd:shared (deleted)") == 0);
	char *memory = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	strcpy(memory, "from the parent");
	reap(run(fill, (void *)(intptr_t)fd));
	CHECK(strcmp(memory + 100, "from the child") == 0);
	CHECK(pread(fd, text, sizeof text, 100) == sizeof text && strcmp(text, "from the child") == 0);
	/* It was not made to be sealed. */
	CHECK_ERROR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK(munmap(memory, PAGE) == 0 && close(fd) == 0);
}

/* System V's */
static void attach(void *argument)
{
	int id = (intptr_t)argument;
	char *memory = shmat(id, NULL, 0);
	CHECK(memory != (void *)-1 && strcmp(memory, "from the parent") == 0);
	strcpy(memory + PAGE, "from the child");
	struct shmid_ds info;
	CHECK(shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 3);
	CHECK(shmdt(memory) == 0);
}

static void test_system_v(void)
{
	struct shmid_ds info;
	int id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	char *memory = shmat(id, NULL, 0);
	CHECK(memory != (void *)-1);
	strcpy(memory, "from the parent");
	reap(run(attach, (void *)(intptr_t)id));
	CHECK(strcmp(memory + PAGE, "from the child") == 0);
	CHECK(shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 1 && info.shm_segsz == 2 * PAGE);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(strcmp(memory, "from the parent") == 0);
	CHECK(shmdt(memory) == 0);
	CHECK_ERROR(shmctl(id, IPC_STAT, &info), EINVAL);
	CHECK_ERROR(shmdt(memory), EINVAL);
}

/* The memory of a process that executes another program may be the same, but is not shared any more. */
static void execute(void *argument)
{
	execl("/proc/self/exe", "shared", "executed", NULL);
	CHECK(0);
}

static void test_exec(void)
{
	size_t size = 64 * PAGE;
	char *memory = anonymous(size);
	char byte = 1;
	pid_t child = run(execute, NULL);
	told(1);
	for (int round = 0; round < 10; round++) {
		memset(memory, byte++, size);
		getppid();
	}
	tell(0);
	reap(child);
	CHECK(munmap(memory, size) == 0);
}

static int executed(void)
{
	size_t size = 80 * PAGE;
	char *own = malloc(size);
	memset(own, 'o', size);
	tell(1);
	told(0);
	for (size_t i = 0; i < size; i++)
		if (own[i] != 'o') return 1;
	return 0;
}

int main(int argc, char **argv)
{
	/* Their numbers are the same in a program that is executed. */
	for (int i = 0; i < 2; i++) {
		if (argc == 1) CHECK(pipe(ends[i]) == 0);
		for (int j = 0; j < 2; j++) {
			int number = 50 + 2 * i + j;
			if (argc == 1) CHECK(dup2(ends[i][j], number) == number);
			ends[i][j] = number;
		}
	}
	if (argc > 1) return executed();
	test_orders(anonymous(2 * PAGE * sizeof(int)));
	int zero = open("/dev/zero", O_RDWR);
	test_orders(mmap(NULL, 2 * PAGE * sizeof(int), READ_WRITE, MAP_SHARED, zero, 0));
	test_neighbours();
	test_spinner();
	test_file();
	test_primitives();
	test_herd();
	test_robust();
	test_named_semaphore();
	test_futex();
	test_memfd();
	test_system_v();
	test_exec();
	puts(failures ? "shared failed" : "shared done");
	return failures != 0;
}
