// SPDX-License-Identifier: MIT
// What happens at the limits of the machine: the caller gets an error, and everything is there again when it is given back.
// Run with a case by tests/boot/limits.test.mjs, in a machine that has little of everything.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define MOST 2000

static pid_t child[MOST];
static pthread_t thread[MOST];
static int ends[2];

static long long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Until the writer has closed the pipe. */
static void wait_for_end(void)
{
	char c;
	close(ends[1]);
	(void)!read(ends[0], &c, 1);
}

static int fork_until_error(void)
{
	int count = 0;
	CHECK(pipe(ends) == 0);
	while (count < MOST && (child[count] = fork()) > 0) count++;
	if (child[count] == 0) {
		wait_for_end();
		_exit(9);
	}
	CHECK(child[count] == -1 && errno == EAGAIN);
	close(ends[1]);
	close(ends[0]);
	for (int i = 0; i < count; i++) {
		int status;
		CHECK(waitpid(child[i], &status, 0) == child[i] && WIFEXITED(status) && WEXITSTATUS(status) == 9);
	}
	return count;
}

static void *wait_in_thread(void *unused)
{
	char c;
	(void)!read(ends[0], &c, 1);
	return NULL;
}

static int create_threads_until_error(void)
{
	int count = 0, error;
	CHECK(pipe(ends) == 0);
	while ((error = pthread_create(&thread[count], NULL, wait_in_thread, NULL)) == 0) count++;
	CHECK(error == EAGAIN);
	close(ends[1]);
	for (int i = 0; i < count; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	close(ends[0]);
	return count;
}

static int spawn_until_error(void)
{
	int count = 0, error;
	char *cat[] = { "cat", NULL };
	posix_spawn_file_actions_t actions;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, ends[0], 0) == 0);
	while ((error = posix_spawnp(&child[count], "cat", &actions, NULL, cat, environ)) == 0) count++;
	CHECK(error == EAGAIN);
	close(ends[1]);
	close(ends[0]);
	for (int i = 0; i < count; i++) {
		int status;
		CHECK(waitpid(child[i], &status, 0) == child[i] && status == 0);
	}
	CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
	return count;
}

/* The same number each time: what was used at the limit is all there again. */
static void twice(const char *what, int (*function)(void))
{
	int first = function(), second = function();
	CHECK(first > 0 && first < MOST);
	/* What others had before may have come back between. */
	CHECK(second >= first);
	printf("%s: %d\n", what, first);
}

static void processes(void) { twice("processes", fork_until_error); }
static void threads(void) { twice("threads", create_threads_until_error); }
static void spawned(void) { twice("spawned processes", spawn_until_error); }

/* As a user: root is exempt. */
static void user_limit(void)
{
	struct rlimit limit = { 12, 12 };
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
	/* This process is one of the twelve. */
	CHECK(fork_until_error() == 11);
	CHECK(create_threads_until_error() == 11);
	CHECK(fork_until_error() == 11);
	puts("user limit");
}

struct block { struct block *next; };

/* Takes blocks of half the size each time that one fails; how many bytes there were. */
static size_t allocate_until_error(int fill)
{
	void *(*volatile allocate)(size_t) = malloc;
	struct block *list = NULL, *block;
	size_t sum = 0;
	for (size_t size = 16 << 20; size >= 4096; size /= 2) {
		while ((block = allocate(size))) {
			if (fill) memset(block, 0x55, size);
			block->next = list;
			list = block;
			sum += size;
		}
		CHECK(errno == ENOMEM);
	}
	/* Everything else goes on, with what it needs of memory in the kernel. */
	CHECK_ERROR(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
	while ((block = list)) {
		list = block->next;
		free(block);
	}
	return sum;
}

static void memory(void)
{
	size_t first = allocate_until_error(1);
	printf("%d MiB\n", (int)(first >> 20));
	CHECK(allocate_until_error(0) == first);
	int status;
	/* As large as can be: its child is, too. */
	pid_t pid = fork();
	if (pid == 0) _exit(allocate_until_error(0) == first ? 5 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
	struct rlimit limit = { 20 << 20, 20 << 20 };
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	size_t limited = allocate_until_error(0);
	CHECK(limited > 10 << 20 && limited <= 20 << 20);
	puts("memory");
}

/* Its worker was started when there were few memories, and has not been told of others. */
static long long exec_began;
static void *exec_in_thread(void *unused)
{
	char began[32];
	wait_in_thread(NULL);
	exec_began = milliseconds();
	sprintf(began, "%lld", exec_began);
	execl("/proc/self/exe", "limits", "executed", began, NULL);
	return NULL;
}

static void exec_in_old_thread(void)
{
	int other[2], count;
	CHECK(pipe(ends) == 0 && pipe(other) == 0);
	CHECK(pthread_create(&thread[0], NULL, exec_in_thread, NULL) == 0);
	for (count = 0; count < MOST && (child[count] = fork()) > 0; count++) { }
	if (child[count] == 0) {
		char c;
		close(ends[1]);
		close(other[1]);
		(void)!read(other[0], &c, 1);
		_exit(0);
	}
	CHECK(errno == EAGAIN);
	/* The last that came: their memories are what the worker does not know. The first stay. */
	for (int i = count - 4; i < count; i++) CHECK(kill(child[i], SIGKILL) == 0 && waitpid(child[i], NULL, 0) == child[i]);
	fflush(stdout);
	fcntl(other[1], F_SETFD, FD_CLOEXEC);
	close(ends[1]);
	pthread_join(thread[0], NULL);
	CHECK(!"executed");
}

static void executed(const char *began)
{
	long long took = milliseconds() - atoll(began);
	/* It had to wait for nobody. */
	CHECK(took < 5000);
	while (waitpid(-1, NULL, 0) > 0) { }
	puts("executed in an old thread");
}

/* Many at once, faster than workers can be told of the memories that are made for them. */
static void *spawn_in_thread(void *argument)
{
	char *cat[] = { "cat", NULL };
	pid_t *pid = argument;
	posix_spawn_file_actions_t actions;
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, ends[0], 0) == 0);
	CHECK(posix_spawnp(pid, "cat", &actions, NULL, cat, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	return NULL;
}

static void burst(void)
{
	enum { MANY = 14 };
	long long began = milliseconds();
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	for (int i = 0; i < MANY; i++) CHECK(pthread_create(&thread[i], NULL, spawn_in_thread, &child[i]) == 0);
	for (int i = 0; i < MANY; i++) CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(milliseconds() - began < 9000);
	close(ends[1]);
	for (int i = 0; i < MANY; i++) {
		int status;
		CHECK(waitpid(child[i], &status, 0) == child[i] && status == 0);
	}
	puts("burst");
}

static void bomb(void)
{
	puts("a bomb");
	fflush(stdout);
	for (;;) if (fork() < 0) sched_yield();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} cases[] = {
		{ "processes", processes },
		{ "threads", threads },
		{ "spawned", spawned },
		{ "user-limit", user_limit },
		{ "memory", memory },
		{ "exec-in-old-thread", exec_in_old_thread },
		{ "burst", burst },
		{ "bomb", bomb },
	};
	if (argc == 3 && strcmp(argv[1], "executed") == 0) {
		executed(argv[2]);
		return failures != 0;
	}
	for (unsigned i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++)
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].function();
			return failures != 0;
		}
	return 2;
}
