// SPDX-License-Identifier: MIT
// Comparisons, walks, hooks and streams of other types than the C library calls: with fewer and more parameters, of two words or
// floating point, with and without a result.
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <search.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <threads.h>
#include "check.h"

#define AS(type, function) ((type)(uintptr_t)(function))

typedef int Compare(const void *, const void *);
typedef int CompareWith(const void *, const void *, void *);

static int calls;

static int called(void)
{
	int count = calls;
	calls = 0;
	return count;
}

/* Comparisons */
static long long compare_wide(const int *a, const int *b) { return (long long)*a - *b; }
static int compare_more(const int *a, const int *b, const char *unused, int missing) { return missing || unused ? 0 : *a - *b; }
static int compare_many(const int *a, const int *b, int c, int d, int e, double f) { return c || d || e || f ? 0 : *a - *b; }
static int compare_wide_parameters(uint64_t a, uint64_t b) { return *(const int *)(uintptr_t)a - *(const int *)(uintptr_t)b; }
static int compare_nothing(void) { return calls++, 0; }
static void compare_without_result(const int *a, const int *b) { calls += *a == *b; }
static char compare_char(const char *a, const char *b) { return *a - *b; }

static void sort_and_search(Compare *compare, int exact)
{
	int numbers[50], n = 50;
	for (int k = 0; k < n; k++) numbers[k] = k * 37 % n;
	qsort(numbers, n, sizeof *numbers, compare);
	for (int k = 0; exact && k < n; k++) CHECK(numbers[k] == k);
	for (int k = 0; k < n; k++) numbers[k] = k * 37 % n;
	qsort_r(numbers, n, sizeof *numbers, AS(CompareWith *, compare), NULL);
	for (int k = 0; exact && k < n; k++) CHECK(numbers[k] == k);
	int *found = bsearch(&(int){ 31 }, numbers, n, sizeof *numbers, compare);
	CHECK(exact ? found == numbers + 31 : found != NULL);

	size_t count = n;
	found = lfind(&(int){ 31 }, numbers, &count, sizeof *numbers, compare);
	CHECK(exact ? found == numbers + 31 : found == numbers);
	count = 1;
	found = lsearch(&(int){ 31 }, numbers, &count, sizeof *numbers, compare);
	CHECK(exact ? count == 2 && found == numbers + 1 : count == 1 && found == numbers);
}

static int visits;
static void visit_node(const void *node) { visits += **(const int *const *)node; }
static int visit_node_with_level(const void *node, VISIT order, int level, int more) { return visits += (order == postorder || order == leaf) && !more ? level : 0; }
static int free_nothing(void) { return ++calls; }

static void trees(Compare *compare, int size)
{
	static int numbers[] = { 4, 2, 6, 1, 3, 5, 7 };
	void *root = NULL;
	for (int k = 0; k < 7; k++) CHECK(tsearch(numbers + k, &root, compare) != NULL);
	visits = 0;
	twalk(root, AS(void (*)(const void *, VISIT, int), visit_node));
	/* Inner nodes are visited three times. */
	CHECK(visits == (size == 7 ? 3 * (4 + 2 + 6) + 1 + 3 + 5 + 7 : 4));
	visits = 0;
	twalk(root, AS(void (*)(const void *, VISIT, int), visit_node_with_level));
	CHECK(visits == (size == 7 ? 2 * 1 + 4 * 2 : 0));
	CHECK(tfind(&(int){ 5 }, &root, compare) != NULL);
	CHECK(tdelete(&(int){ 5 }, &root, compare) != NULL);
	called();
	tdestroy(root, AS(void (*)(void *), free_nothing));
	CHECK(called() == size - 1);
}

/* Files */
static int files;
static int visit_file(const char *path) { return files += strstr(path, "/walk") != NULL, 0; }
static void visit_file_without_result(const char *path, const struct stat *st, int type, struct FTW *walk, int more) { files += walk->level == 1 && !more; }
static int select_all(void) { return 1; }
static _Bool select_some(const struct dirent *entry, int more) { return entry->d_name[0] != '.' && !more; }
static int order_nothing(void) { return 0; }
static int order_more(const struct dirent **a, const struct dirent **b, int more) { return more ? 0 : strcmp((*b)->d_name, (*a)->d_name); }
static int glob_error(const char *path) { return calls += strstr(path, "closed") != NULL, 1; }

static void walk_files(void)
{
	char folder[] = "/tmp/comparisons.XXXXXX";
	struct dirent **names;
	glob_t found;

	CHECK(mkdtemp(folder) && chdir(folder) == 0 && mkdir("walk", 0755) == 0 && mkdir("walk/closed", 0) == 0);
	CHECK(close(creat("walk/a", 0644)) == 0 && close(creat("walk/b", 0644)) == 0);
	CHECK(nftw(folder, AS(int (*)(const char *, const struct stat *, int, struct FTW *), visit_file), 8, FTW_PHYS) == 0 && files == 4);
	files = 0;
	CHECK(ftw(folder, AS(int (*)(const char *, const struct stat *, int), visit_file), 8) == 0 && files == 4);
	files = 0;
	CHECK(nftw("walk", AS(int (*)(const char *, const struct stat *, int, struct FTW *), visit_file_without_result), 8, FTW_DEPTH) == 0 && files == 3);
	CHECK(scandir("walk", &names, AS(int (*)(const struct dirent *), select_all), AS(int (*)(const struct dirent **, const struct dirent **), order_nothing)) == 5);
	CHECK(scandir("walk", &names, AS(int (*)(const struct dirent *), select_some), AS(int (*)(const struct dirent **, const struct dirent **), order_more)) == 3);
	CHECK(!strcmp(names[0]->d_name, "closed") && !strcmp(names[2]->d_name, "a"));
	/* Not as root, who may read everything. */
	if (!fork()) {
		called();
		CHECK(chmod(folder, 0755) == 0 && setuid(1000) == 0);
		CHECK(glob("walk/closed/*", 0, AS(int (*)(const char *, int), glob_error), &found) == GLOB_ABORTED);
		CHECK(called() == 1);
		fflush(stdout);
		_exit(failures);
	}
	int status;
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(chdir("/") == 0);
}

/* Hooks */
static int before_fork(void) { return ++calls; }
static void in_parent(int more, int others) { calls += more || others ? 1000 : 10; }
static long long in_child(void) { return calls += 100; }
static int child_of_clone(void) { return 7; }
static void child_without_result(int *word) { *word = 9; }
static long long child_wide(uint64_t address) { return *(int *)(uintptr_t)address; }
static int quick(void) { puts("quick"); fflush(stdout); return 1; }
static int at_exit(int more) { return printf("at exit%s\n", more ? "?" : ""); }
static void destroy(const char *text, int more) { printf("%s%s\n", text, more ? "?" : ""); }
int __cxa_atexit(void (*)(void *), void *, void *);

static char stack[65536];

static int run_clone(int (*function)(void *), int flags, void *argument)
{
	int status = -1;
	pid_t child = clone(function, stack + sizeof stack, flags | SIGCHLD, argument);
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static void hooks(void)
{
	int word = 3, status;

	CHECK(run_clone(AS(int (*)(void *), child_of_clone), 0, NULL) == 0x700);
	CHECK(run_clone(AS(int (*)(void *), child_of_clone), CLONE_VM | CLONE_VFORK, NULL) == 0x700);
	CHECK(run_clone(AS(int (*)(void *), child_without_result), 0, &word) == 0 && word == 3);
	CHECK(run_clone(AS(int (*)(void *), child_without_result), CLONE_VM | CLONE_VFORK, &word) == 0 && word == 9);
	CHECK(run_clone(AS(int (*)(void *), child_wide), 0, &word) == 0x900);

	called();
	CHECK(pthread_atfork(AS(void (*)(void), before_fork), AS(void (*)(void), in_parent), AS(void (*)(void), in_child)) == 0);
	if (!fork()) _exit(calls);
	CHECK(wait(&status) > 0 && status == 101 << 8);
	CHECK(called() == 11);

	CHECK(fflush(stdout) == 0);
	if (!fork()) {
		CHECK(at_quick_exit(AS(void (*)(void), quick)) == 0);
		quick_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(atexit(AS(void (*)(void), at_exit)) == 0);
	CHECK(__cxa_atexit(AS(void (*)(void *), destroy), "destroyed", NULL) == 0);
}

/* Threads */
static void thread_wide(uint64_t counter) { ++*(int *)(uintptr_t)counter; }
static long long thread_with_wide_result(const int *counter, int more) { return more ? 0 : *counter + 1; }
static int once(int more) { return calls += more ? 100 : 1; }
static double destructor(const int *value, int more) { return calls += more ? 100 : *value; }
static tss_t key;
static int thread_with_key(void *value) { return tss_set(key, value); }

static void threads(void)
{
	int count = 4, result;
	once_flag flag = ONCE_FLAG_INIT;
	pthread_t thread;
	void *value;
	thrd_t other;

	CHECK(pthread_create(&thread, NULL, AS(void *(*)(void *), thread_wide), &count) == 0 && pthread_join(thread, NULL) == 0 && count == 5);
	CHECK(pthread_create(&thread, NULL, AS(void *(*)(void *), thread_with_wide_result), &count) == 0 && pthread_join(thread, &value) == 0 && (uintptr_t)value == 6);
	CHECK(thrd_create(&other, AS(thrd_start_t, thread_with_wide_result), &count) == thrd_success && thrd_join(other, &result) == thrd_success && result == 6);
	called();
	call_once(&flag, AS(void (*)(void), once));
	CHECK(called() == 1);
	CHECK(tss_create(&key, AS(tss_dtor_t, destructor)) == thrd_success);
	CHECK(thrd_create(&other, thread_with_key, &count) == thrd_success && thrd_join(other, NULL) == thrd_success && called() == 5);
}

/* Signals: four parameters, as BSD's handlers have them. */
static void handler_of_four(int signal, int code, void *context, char *address) { calls += signal == SIGUSR1 && !address ? 1 : 1000; }
static int handler_wide(long long signal) { return calls += signal; }

static sem_t notified;
static int notify(void) { return sem_post(&notified); }

static void signals(void)
{
	called();
	signal(SIGUSR1, AS(void (*)(int), handler_of_four));
	raise(SIGUSR1);
	CHECK(called() == 1);
	signal(SIGUSR1, AS(void (*)(int), handler_wide));
	raise(SIGUSR1);
	CHECK(called() == SIGUSR1);

	CHECK(sem_init(&notified, 0, 0) == 0);
	char byte;
	struct aiocb block = {
		.aio_fildes = open("/dev/zero", O_RDONLY), .aio_buf = &byte, .aio_nbytes = 1,
		.aio_sigevent = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = AS(void (*)(union sigval), notify) },
	};
	CHECK(aio_read(&block) == 0);
	while (sem_wait(&notified)) {}
	struct aiocb *list[] = { &block };
	struct sigevent event = block.aio_sigevent;
	block.aio_sigevent.sigev_notify = SIGEV_NONE;
	block.aio_lio_opcode = LIO_READ;
	CHECK(lio_listio(LIO_NOWAIT, list, 1, &event) == 0);
	while (sem_wait(&notified)) {}
}

/* Streams, and what else there is */
static int read_nothing(void) { return 0; }
static long long write_wide(void *cookie, const char *text, size_t length, int more) { return memcpy(cookie, text, length), more ? 0 : length; }
static void close_quietly(void) { calls++; }
static int seek_nowhere(void *cookie, long long *position) { return *position = 5, 0; }
static int library(struct dl_phdr_info *information) { return information->dlpi_name != NULL ? 17 : 0; }

static void streams(void)
{
	char text[20] = "";
	cookie_io_functions_t functions = {
		.read = AS(cookie_read_function_t *, read_nothing), .write = AS(cookie_write_function_t *, write_wide),
		.seek = AS(cookie_seek_function_t *, seek_nowhere), .close = AS(cookie_close_function_t *, close_quietly),
	};
	FILE *stream = fopencookie(text, "r+", functions);

	called();
	CHECK(stream && getc(stream) == EOF && fputs("text", stream) >= 0 && fflush(stream) == 0 && !strcmp(text, "text"));
	CHECK(fseek(stream, 2, SEEK_SET) == 0 && ftell(stream) == 5);
	CHECK(fclose(stream) == 0 && called() == 1);
	CHECK(dl_iterate_phdr(AS(int (*)(struct dl_phdr_info *, size_t, void *), library), NULL) == 17);
}

int main(void)
{
	sort_and_search(AS(Compare *, compare_wide), 1);
	sort_and_search(AS(Compare *, compare_more), 1);
	sort_and_search(AS(Compare *, compare_many), 1);
	sort_and_search(AS(Compare *, compare_wide_parameters), 1);
	sort_and_search(AS(Compare *, compare_nothing), 0);
	CHECK(called() > 0);
	sort_and_search(AS(Compare *, compare_without_result), 0);
	char letters[] = "sorted";
	qsort(letters, 6, 1, AS(Compare *, compare_char));
	CHECK(!strcmp(letters, "deorst"));
	trees(AS(Compare *, compare_wide), 7);
	trees(AS(Compare *, compare_more), 7);
	trees(AS(Compare *, compare_nothing), 1);
	walk_files();
	hooks();
	threads();
	signals();
	streams();
	puts("called");
	return failures != 0;
}
