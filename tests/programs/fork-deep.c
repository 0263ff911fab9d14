// SPDX-License-Identifier: MIT
// fork where a stack is hard to copy: deep in recursion through function pointers, in nested callbacks, around setjmp, in
// grandchildren, in threads; and in a server that forks for each connection. Each process's memory is its own.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int status_of(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Forty frames, each called through a pointer to one of two types of function, with something to keep in each. */
typedef long (*step)(int depth, long sum);
typedef double (*other_step)(double sum, int depth);
static long even(int depth, long sum);
static double odd(double sum, int depth);
static volatile step even_pointer = even;
static volatile other_step odd_pointer = odd;
static volatile pid_t child;

static long even(int depth, long sum)
{
	volatile char kept[100];
	memset((char *)kept, depth, sizeof kept);
	long result = depth == 0 ? (child = fork(), sum) : (long)odd_pointer(sum + depth, depth - 1);
	for (unsigned i = 0; i < sizeof kept; i++) if (kept[i] != depth) result = -1000000;
	return result + depth;
}

static double odd(double sum, int depth)
{
	volatile double kept = sum * depth;
	double result = (double)even_pointer(depth - 1, (long)sum + depth) + depth;
	return kept == sum * depth ? result : -1000000;
}

static void through_pointers(void)
{
	child = -1;
	/* 40 + 39 + ... on the way down, and once more on the way up */
	long result = even(40, 0);
	if (child == 0) _exit(result == 40 * 41 ? 40 : 1);
	CHECK(result == 40 * 41 && status_of(child) == 40);
	puts("through pointers");
}

/* Sorting in a comparison: fork in the inner one. */
static int forks_left;
static int generation;
static int inner_compare(const void *a, const void *b)
{
	if (forks_left && (*(const int *)a == 3 || *(const int *)b == 3)) {
		forks_left--;
		child = fork();
		if (child == 0) generation++;
		else if (status_of(child) != 10 + generation + 1) CHECK(!"status of a child");
	}
	return *(const int *)a - *(const int *)b;
}

static int sorted(const int *numbers, int count)
{
	for (int i = 1; i < count; i++) if (numbers[i - 1] > numbers[i]) return 0;
	return 1;
}

static int outer_compare(const void *a, const void *b)
{
	int numbers[] = { 5, 3, 4, 1, 2 };
	qsort(numbers, 5, sizeof *numbers, inner_compare);
	if (!sorted(numbers, 5)) CHECK(!"sorted inside");
	return *(const int *)a - *(const int *)b;
}

static void in_callbacks(void)
{
	int numbers[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	forks_left = 3;
	fflush(stdout);
	/* Each child forks again, as long as it has some left. */
	qsort(numbers, 9, sizeof *numbers, outer_compare);
	if (generation) _exit(sorted(numbers, 9) && !failures ? 10 + generation : 1);
	CHECK(sorted(numbers, 9) && forks_left == 0);
	puts("in callbacks");
}

static jmp_buf outer, inner;
static int jump_in_fork(int depth, volatile int *marks)
{
	jmp_buf own;
	volatile int result = 0;
	if (depth > 0) {
		/* Frames with a buffer of their own, which nobody jumps to, between. */
		if (setjmp(own) == 0) result = jump_in_fork(depth - 1, marks);
		return result + (*marks)++;
	}
	switch (setjmp(inner)) {
	case 0:
		child = fork();
		longjmp(inner, child == 0 ? 1 : 2);
	case 1:
		longjmp(outer, 7);
	}
	return status_of(child);
}

static void around_setjmp(void)
{
	volatile int marks = 0;
	fflush(stdout);
	int r = setjmp(outer);
	if (r == 7) _exit(marks == 0 ? 77 : 1);
	CHECK(jump_in_fork(10, &marks) == 77 + 45 && marks == 10);
	puts("around setjmp");
}

/* Each has the same addresses, and others' changes do not show: also of what was mapped in between. */
static void generations(int left, volatile int *stack_value, volatile int *heap_value, volatile int *mapped)
{
	static volatile int static_value = 100;
	int expected = 100 + left;
	if (static_value != 100 || *stack_value != expected || *heap_value != expected || *mapped != expected) _exit(1);
	if (left == 0) _exit(0);
	volatile int *more = mmap(NULL, 200000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*more = expected - 1;
	*stack_value = *heap_value = expected - 1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) generations(left - 1, stack_value, heap_value, more);
	/* Written while the child runs. */
	static_value = left;
	*stack_value = *heap_value = *more = *mapped = -left;
	int result = status_of(pid);
	if (static_value != left || *stack_value != -left || *heap_value != -left || *more != -left || *mapped != -left) result = 1;
	_exit(result);
}

static void grandchildren(void)
{
	volatile int stack_value = 108, *heap_value = malloc(sizeof *heap_value), *mapped;
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*heap_value = *mapped = 108;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) generations(8, &stack_value, heap_value, mapped);
	CHECK(status_of(pid) == 0 && stack_value == 108 && *heap_value == 108 && *mapped == 108);
	free((void *)heap_value);
	puts("grandchildren");
}

static void *deep_in_thread(void *unused)
{
	long result = even(38, 0);
	if (child == 0) _exit(result == 38 * 39 ? 38 : 1);
	return (void *)(intptr_t)(result == 38 * 39 && status_of(child) == 38);
}

static void in_thread(void)
{
	pthread_t thread;
	void *result;
	CHECK(pthread_create(&thread, NULL, deep_in_thread, NULL) == 0 && pthread_join(thread, &result) == 0 && result);
	puts("in a thread");
}

#define CONNECTIONS 40

static volatile int served;
static void on_child(int signal) { while (waitpid(-1, NULL, WNOHANG) > 0) served++; }

/* Echoes what each client sends, in a process for each, while new ones come. */
static void serve(int listener)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };
	sigset_t set, old;
	sigaction(SIGCHLD, &action, NULL);
	for (int i = 0; i < CONNECTIONS; i++) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0) _exit(1);
		pid_t pid = fork();
		if (pid < 0) _exit(2);
		if (pid == 0) {
			char line[100];
			ssize_t n;
			while ((n = read(connection, line, sizeof line)) > 0) if (write(connection, line, n) != n) _exit(1);
			_exit(0);
		}
		close(connection);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	while (served < CONNECTIONS) sigsuspend(&old);
	_exit(50);
}

static void server(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/fork-deep" };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), open_one[4];
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) serve(listener);
	close(listener);
	for (int i = 0; i < CONNECTIONS; i++) {
		char line[100], back[100];
		int slot = i % 4;
		/* Four at a time. */
		if (i >= 4) close(open_one[slot]);
		open_one[slot] = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(connect(open_one[slot], (struct sockaddr *)&address, sizeof address) == 0);
		for (int k = 0; k < 3; k++) {
			int length = sprintf(line, "connection %d line %d", i, k);
			CHECK(write(open_one[slot], line, length) == length && read(open_one[slot], back, sizeof back) == length);
			CHECK(memcmp(line, back, length) == 0);
		}
	}
	for (int i = 0; i < 4; i++) close(open_one[i]);
	CHECK(status_of(pid) == 50);
	unlink("/tmp/fork-deep");
	puts("server");
}

/* A handler that comes while fork is on its way: fork is not interrupted by it. */
static volatile int signals;
static void on_signal(int signal) { signals++; }

static void not_interrupted(void)
{
	pid_t self = getpid();
	struct sigaction action = { .sa_handler = on_signal };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	fflush(stdout);
	pid_t sender = fork();
	if (sender == 0) for (;;) kill(self, SIGUSR1);
	while (!signals) { sched_yield(); }
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		if (pid == 0) _exit(i & 127);
		if (pid < 0 || status_of(pid) != (i & 127)) {
			CHECK(!"forked");
			break;
		}
	}
	CHECK(kill(sender, SIGKILL) == 0 && status_of(sender) == 1000 + SIGKILL);
	puts("not interrupted");
}

int main(void)
{
	through_pointers();
	in_callbacks();
	around_setjmp();
	grandchildren();
	in_thread();
	server();
	not_interrupted();
	return failures != 0;
}
