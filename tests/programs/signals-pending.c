// SPDX-License-Identifier: MIT
// Signals that are pending when a system call begins or ends: each has its handler run once, before the call.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t first, second, order;
static void on_first(int signal) { first = ++order; }
static void on_second(int signal) { second = ++order; }

/* Its address is the lowest that a program has, and must not be taken for SIG_IGN or SIG_HOLD. */
static volatile sig_atomic_t children;
static void on_child(int signal) { children++; }

static sigset_t both;
static volatile int spin, spins;
static int pipe_ends[2];

/* Makes no system call until it is told to. */
static void *spinner(void *unused)
{
	char byte;
	CHECK(pthread_sigmask(SIG_UNBLOCK, &both, NULL) == 0);
	spins = 1;
	while (spin == 1) {}
	/* What arrived before may not interrupt this. */
	CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x');
	spins = 2;
	while (spin != 2) {}
	/* Nor is it lost because the first thing that the end of a thread does is to block it. */
	return NULL;
}

/* Between two looks at what another thread does. */
static void a_moment(void) { nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL); }

int main(void)
{
	CHECK(sigset(SIGCHLD, on_child) != SIG_ERR);
	raise(SIGCHLD);
	CHECK(children == 1);

	struct sigaction action = { .sa_handler = on_first };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	action.sa_handler = on_second;
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);

	CHECK(sigprocmask(SIG_BLOCK, &both, NULL) == 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	CHECK(order == 0);
	CHECK(sigprocmask(SIG_UNBLOCK, &both, NULL) == 0);
	CHECK(first != 0 && second != 0 && order == 2);
	puts("both at once");

	CHECK(sigprocmask(SIG_BLOCK, &both, NULL) == 0);
	CHECK(pipe(pipe_ends) == 0);
	pthread_t thread;
	spin = 1;
	CHECK(pthread_create(&thread, NULL, spinner, NULL) == 0);
	while (spins != 1) a_moment();
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	/* When kill has returned, they are pending. */
	spin = 0;
	while (order != 4) a_moment();
	CHECK(write(pipe_ends[1], "x", 1) == 1);
	while (spins != 2) a_moment();
	puts("before a call that blocks");

	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	spin = 2;
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(order == 6);
	puts("before the end of a thread");
	return failures != 0;
}
