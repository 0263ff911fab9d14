// SPDX-License-Identifier: MIT
// Costs of the kernel: prints "name nanoseconds" (the median of nine rounds) for each. "micro console FILE" measures lines written
// to a terminal, and fork while a process does that as fast as it can. "micro exit" is what fork+exec runs.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9 };

extern char **environ;

static const char *self;
static char buffer[65536];
static int null_file, data_file;
static int there[2], back[2];

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void check(int good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static void do_getppid(int count)
{
	while (count--)
		syscall(SYS_getppid);
}

static void do_write(int count)
{
	while (count--)
		check(write(null_file, buffer, 1) == 1, "write");
}

static void do_read_64(int count)
{
	while (count--)
		check(pread(data_file, buffer, 64, 0) == 64, "pread");
}

static void do_read_4096(int count)
{
	while (count--)
		check(pread(data_file, buffer, 4096, 0) == 4096, "pread");
}

static void do_clock(int count)
{
	struct timespec time;

	while (count--)
		clock_gettime(CLOCK_MONOTONIC, &time);
}

static void do_ping_pong(int count)
{
	char byte = 0;

	while (count--) {
		check(write(there[1], &byte, 1) == 1, "write");
		check(read(back[0], &byte, 1) == 1, "read");
	}
}

static void do_file(int count)
{
	while (count--) {
		int file = open("/tmp/micro.file", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		check(file >= 0 && write(file, buffer, 4096) == 4096 && close(file) == 0, "/tmp/micro.file");
		check(unlink("/tmp/micro.file") == 0, "unlink");
	}
}

static void do_fork(int count)
{
	while (count--) {
		pid_t child = fork();

		check(child >= 0, "fork");
		if (child == 0)
			_exit(0);
		check(waitpid(child, NULL, 0) == child, "waitpid");
	}
}

static void do_exec(int count)
{
	while (count--) {
		pid_t child = fork();

		check(child >= 0, "fork");
		if (child == 0) {
			execl(self, self, "exit", (char *)NULL);
			_exit(127);
		}
		check(waitpid(child, NULL, 0) == child, "waitpid");
	}
}

static void do_spawn(int count)
{
	char *words[] = { (char *)self, "exit", NULL };

	while (count--) {
		pid_t child;

		errno = posix_spawn(&child, self, NULL, NULL, words, environ);
		check(errno == 0, "posix_spawn");
		check(waitpid(child, NULL, 0) == child, "waitpid");
	}
}

// 64 KiB pieces through a pipe to a process that drops them.
static void do_pipe(int count)
{
	int pipe_ends[2];
	pid_t child;

	check(pipe(pipe_ends) == 0, "pipe");
	child = fork();
	check(child >= 0, "fork");
	if (child == 0) {
		close(pipe_ends[1]);
		while (read(pipe_ends[0], buffer, sizeof(buffer)) > 0)
			;
		_exit(0);
	}
	close(pipe_ends[0]);
	while (count--)
		check(write(pipe_ends[1], buffer, sizeof(buffer)) == sizeof(buffer), "write");
	close(pipe_ends[1]);
	check(waitpid(child, NULL, 0) == child, "waitpid");
}

static int by_size(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void measure(const char *name, void (*work)(int), int count)
{
	double rounds[ROUNDS];

	work(count / 10 + 1);
	for (int i = 0; i < ROUNDS; ++i) {
		double start = now();

		work(count);
		rounds[i] = (now() - start) / count;
	}
	qsort(rounds, ROUNDS, sizeof(*rounds), by_size);
	printf("%s %.1f\n", name, rounds[ROUNDS / 2]);
	fflush(stdout);
}

// A byte to another process and back.
static void measure_ping_pong(const char *name)
{
	pid_t partner;

	check(pipe(there) == 0 && pipe(back) == 0, "pipe");
	partner = fork();
	check(partner >= 0, "fork");
	if (partner == 0) {
		char byte;

		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			check(write(back[1], &byte, 1) == 1, "write");
		_exit(0);
	}
	measure(name, do_ping_pong, 3000);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	check(waitpid(partner, NULL, 0) == partner, "waitpid");
}

// Both on one CPU: two context switches.
static void measure_switches(void)
{
	cpu_set_t all, one;

	check(sched_getaffinity(0, sizeof(all), &all) == 0, "sched_getaffinity");
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	check(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
	measure_ping_pong("switches");
	check(sched_setaffinity(0, sizeof(all), &all) == 0, "sched_setaffinity");
}

// With so much memory in use.
static void measure_fork_of(const char *name, size_t size)
{
	// Not for the compiler to leave out.
	char *volatile memory = malloc(size);

	check(memory != NULL, "malloc");
	memset(memory, 1, size);
	measure(name, do_fork, 20);
	free(memory);
}

static char lines[4096];
static int terminal = -1;

static void do_lines(int count)
{
	while (count--)
		check(write(terminal, lines, sizeof(lines)) == sizeof(lines), "the terminal");
}

static void measure_console(const char *path)
{
	int ends[2];
	pid_t child;

	for (size_t i = 0; i < sizeof(lines); i++)
		lines[i] = i % 64 == 63 ? '\n' : 'a' + i % 26;
	terminal = open(path, O_WRONLY | O_NOCTTY);
	check(terminal >= 0, path);
	measure("console", do_lines, 50);
	check(pipe(ends) == 0, "pipe");
	child = fork();
	check(child >= 0, "fork");
	if (child == 0) {
		do_lines(100);
		check(write(ends[1], "", 1) == 1, "write");
		for (;;)
			do_lines(100);
	}
	check(read(ends[0], lines, 1) == 1, "the process that writes");
	measure("flood-fork", do_fork, 50);
	measure_fork_of("flood-fork1", 1 << 20);
	measure_fork_of("flood-fork16", 16 << 20);
	check(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child, "the process that writes");
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (argc > 2 && strcmp(argv[1], "console") == 0) {
		measure_console(argv[2]);
		return 0;
	}
	null_file = open("/dev/null", O_WRONLY);
	check(null_file >= 0, "/dev/null");
	data_file = open("/tmp/micro.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(data_file >= 0 && write(data_file, buffer, 4096) == 4096, "/tmp/micro.data");
	unlink("/tmp/micro.data");

	measure("getppid", do_getppid, 200000);
	measure("write", do_write, 200000);
	measure("read64", do_read_64, 100000);
	measure("read4096", do_read_4096, 50000);
	measure("clock", do_clock, 100000);

	measure_ping_pong("pingpong");
	measure_switches();
	measure("pipe64k", do_pipe, 300);
	measure("file", do_file, 2000);
	measure("fork", do_fork, 50);
	measure_fork_of("fork1", 1 << 20);
	measure_fork_of("fork16", 16 << 20);
	measure("exec", do_exec, 30);
	measure("spawn", do_spawn, 30);
	return 0;
}
