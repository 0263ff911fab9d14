// SPDX-License-Identifier: MIT
// fork returns twice, wherever it is called: deep, behind function pointers, in a callback.
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int global = 1;

static int ended_with(pid_t child)
{
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

/* Every frame has locals of all types in registers and memory, checked on the way back. */
static int recurse(int depth, long long wide, double fraction)
{
	volatile int array[8];
	volatile long long wide_in_memory = wide;
	volatile double fraction_in_memory = fraction;
	for (int i = 0; i < 8; i++) array[i] = depth * 8 + i;
	int result;
	if (depth == 0) {
		fflush(stdout);
		pid_t child = fork();
		result = child == 0 ? 0 : ended_with(child) == 7 ? 1 : 100000;
	} else {
		result = recurse(depth - 1, wide * 3 + depth, fraction * 0.5);
	}
	for (int i = 0; i < 8; i++) if (array[i] != depth * 8 + i) result += 1000000;
	if (wide_in_memory != wide || fraction_in_memory != fraction) result += 1000000;
	return result;
}

static int by_pointer(int (*function)(int), int argument) { return function(argument) + 1; }
static int fork_inside(int argument)
{
	pid_t child = fork();
	if (child == 0) _exit(argument);
	return ended_with(child);
}
static int (*volatile pointer)(int (*)(int), int) = by_pointer;

static int forked_in_qsort;
static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	if (!forked_in_qsort && x == 5) {
		forked_in_qsort = 1;
		pid_t child = fork();
		if (child == 0) forked_in_qsort = 2;
		else CHECK(ended_with(child) == 99);
	}
	return (x > y) - (x < y);
}

/* What a function leaves on the main stack is dead, and not copied: most of that stack is as good as never used. */
static volatile uintptr_t left_behind;
static __attribute__((noinline)) void use_stack(void)
{
	volatile unsigned block[65536];
	for (int i = 0; i < 65536; i++) block[i] = 0xdead;
	left_behind = (uintptr_t)&block[32768];
}
static void test_dead_stack(void)
{
	use_stack();
	volatile unsigned *dead = (volatile unsigned *)left_behind;
	pid_t child = fork();
	if (child == 0) _exit(*dead == 0 ? 1 : 2);
	CHECK(*dead == 0xdead);
	CHECK(ended_with(child) == 1);
}

static int prepared, parent_called, child_called;
static void prepare(void) { prepared++; }
static void in_parent(void) { parent_called++; }
static void in_child(void) { child_called++; }

int main(void)
{
	/* plain: own memory, own pid, parent known */
	int local = 10, *heap = malloc(sizeof *heap);
	*heap = 100;
	pid_t self = getpid();
	pid_t child = fork();
	if (child == 0) {
		global++, local++, ++*heap;
		_exit(getppid() == self && getpid() != self && global == 2 && local == 11 && *heap == 101 ? 7 : 1);
	}
	CHECK(child > 0 && ended_with(child) == 7);
	CHECK(global == 1 && local == 10 && *heap == 100 && getpid() == self);
	puts("plain");

	int r = recurse(200, 1, 1.0);
	if (r == 0) exit(7);	/* the child came all the way back */
	CHECK(r == 1);
	puts("deep");

	CHECK(pointer(fork_inside, 33) == 34);
	puts("function pointer");

	int numbers[] = { 9, 3, 5, 1, 8, 2, 7, 4, 6, 0 }, sorted = 1;
	qsort(numbers, 10, sizeof *numbers, compare);
	for (int i = 0; i < 10; i++) sorted &= numbers[i] == i;
	if (forked_in_qsort == 2) _exit(sorted ? 99 : 1);
	CHECK(sorted && forked_in_qsort == 1);
	puts("qsort");

	test_dead_stack();
	puts("dead stack");

	pthread_atfork(prepare, in_parent, in_child);
	child = fork();
	if (child == 0) _exit(prepared == 1 && child_called == 1 && parent_called == 0 ? 5 : 1);
	CHECK(ended_with(child) == 5 && prepared == 1 && parent_called == 1 && child_called == 0);
	puts("atfork");

	child = vfork();
	if (child == 0) _exit(6);
	CHECK(ended_with(child) == 6);

	/* generations: each child forks the next and adds one to its status */
	fflush(stdout);
	int generation = 0;
	while (generation < 10 && (child = fork()) == 0) generation++;
	if (generation == 10) _exit(0);
	r = ended_with(child) + 1;
	if (generation) _exit(r);
	CHECK(r == 10);

	int many = 0;
	for (int i = 0; i < 50; i++) if ((child = fork()) == 0) _exit(i); else many += ended_with(child) == i;
	printf("%d children\n", many);

	/* output buffered before a fork belongs to both, and is written by who flushes */
	printf("once\n");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		puts("from the child");
		exit(0);
	}
	CHECK(ended_with(child) == 0);
	puts("from the parent");
	free(heap);
	return failures != 0;
}
