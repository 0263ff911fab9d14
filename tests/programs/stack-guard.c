// SPDX-License-Identifier: MIT
// The guard below a thread's stack: an overflow is a segmentation fault before it reaches what lies below, also in the child of a fork.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>
#include "check.h"

#define STACK (256 * 1024)
#define BELOW 4096

static volatile int depth_wanted;
static unsigned char *volatile below;
static char alternate[8192];

__attribute__((noinline)) static int descend(int depth)
{
	volatile char frame[500];
	frame[depth % 500] = 1;
	if (depth == depth_wanted) return 1;
	return descend(depth + 1) + frame[depth % 500];
}

static void overflown(int signal, siginfo_t *info, void *context)
{
	for (int i = 0; i < BELOW; i++)
		if (below[i] != 0xa5) _exit(3);
	_exit(signal == SIGSEGV && info->si_code == SEGV_MAPERR ? 42 : 4);
}

/* Maps a page directly below the guard, and fills it. */
static void mark_below(void)
{
	pthread_attr_t attributes;
	void *stack;
	size_t size, guard;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &size);
	pthread_attr_getguardsize(&attributes, &guard);
	CHECK(size >= STACK - 4096);
	unsigned char *bottom = (unsigned char *)stack - guard - BELOW;
	below = mmap(bottom, BELOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	static unsigned char something_else_is_there[BELOW];
	if (below == MAP_FAILED) below = something_else_is_there;
	memset(below, 0xa5, BELOW);
}

static void *overflow(void *handled)
{
	mark_below();
	if (handled) {
		sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof alternate }, NULL);
		sigaction(SIGSEGV, &(struct sigaction){ .sa_sigaction = overflown, .sa_flags = SA_SIGINFO | SA_ONSTACK }, NULL);
	}
	depth_wanted = -1;
	descend(0);
	_exit(5);
}

static void *use_all_but_little(void *unused)
{
	depth_wanted = (STACK - 8192) / 600;
	return (void *)(intptr_t)descend(0);
}

static void *fork_and_overflow(void *unused)
{
	pid_t child = fork();
	if (child == 0) overflow((void *)1);
	int status;
	waitpid(child, &status, 0);
	return (void *)(intptr_t)status;
}

static int overflow_c11(void *handled)
{
	overflow(handled);
	return 0;
}

static int in_child(void (*function)(void))
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		function();
		_exit(failures != 0);
	}
	return waitpid(child, &status, 0) == child ? status : -1;
}

static void *run(void *(*function)(void *), void *argument, size_t guard)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *result = NULL;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_attr_setguardsize(&attributes, guard);
	CHECK(pthread_create(&thread, &attributes, function, argument) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	return result;
}

static void plain(void) { run(overflow, NULL, 4096); }
static void handled(void) { run(overflow, (void *)1, 4096); }
static void c11(void)
{
	thrd_t thread;
	/* musl leaves signals blocked in these threads. */
	thrd_create(&thread, overflow_c11, NULL);
	thrd_join(thread, NULL);
}

int main(void)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	CHECK((intptr_t)run(use_all_but_little, NULL, 4096) > 100);
	CHECK((intptr_t)run(use_all_but_little, NULL, 0) > 100);

	int status = in_child(plain);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = in_child(handled);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = (intptr_t)run(fork_and_overflow, NULL, 4096);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	pthread_attr_setstacksize(&attributes, STACK);
	CHECK(pthread_setattr_default_np(&attributes) == 0);
	status = in_child(c11);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	puts(failures ? "failed" : "passed");
	return failures != 0;
}
