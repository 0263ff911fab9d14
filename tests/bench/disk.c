// SPDX-License-Identifier: MIT
// What a disk takes: disk TEST PATH... prints names and nanoseconds. The same program runs in the guest and natively.
//
//   disk write | read | random | sync FILE
//   disk make-tree FOLDER
//   disk walk FOLDER NAME
//   disk time NAME COMMAND ARGUMENTS...
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, FILE_SIZE = 1 << 30, PAGE = 4096, READS = 2000, SYNCS = 200, FOLDERS = 100, FILES = 50 };

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void must(int done, const char *what)
{
	if (done) return;
	fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int by_value(const void *one, const void *other)
{
	double difference = *(const double *)one - *(const double *)other;
	return (difference > 0) - (difference < 0);
}

static void print_median(const char *name, double *times, int count)
{
	qsort(times, count, sizeof *times, by_value);
	printf("%s %.0f\n", name, times[count / 2]);
}

static uint64_t state = 88172645463325252;
static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* The first words of the requests differ, so that a request that is in the wrong place is seen. */
static void write_large(const char *path)
{
	static uint64_t buffer[MIB / 8];
	for (int i = 0; i < MIB / 8; i++) buffer[i] = next_random();
	double start = now();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0, path);
	for (int done = 0; done < FILE_SIZE / MIB; done++) {
		buffer[done] = done;
		must(write(fd, buffer, MIB) == MIB, "write");
	}
	printf("diskWriteNoSync %.0f\n", now() - start);
	must(fsync(fd) == 0, "fsync");
	printf("diskWrite %.0f\n", now() - start);
	close(fd);
}

static void read_large(const char *path)
{
	static uint64_t buffer[MIB / 8];
	double start = now();
	int fd = open(path, O_RDONLY);
	must(fd >= 0, path);
	for (int done = 0; done < FILE_SIZE / MIB; done++) must(read(fd, buffer, MIB) == MIB && buffer[done] == (uint64_t)done, "read");
	printf("diskRead %.0f\n", now() - start);
	close(fd);
}

static void read_randomly(const char *path)
{
	static char buffer[PAGE];
	static double times[READS];
	int fd = open(path, O_RDONLY);
	must(fd >= 0, path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (int i = 0; i < READS; i++) {
		off_t place = next_random() % (FILE_SIZE / PAGE) * PAGE;
		double start = now();
		must(pread(fd, buffer, PAGE, place) == PAGE, "pread");
		times[i] = now() - start;
	}
	print_median("diskRead4096", times, READS);
	close(fd);
}

static void sync_often(const char *path)
{
	static char buffer[PAGE];
	static double overwrites[SYNCS], appends[SYNCS];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0, path);
	for (int i = 0; i < SYNCS; i++) {
		double start = now();
		must(pwrite(fd, buffer, PAGE, (off_t)i * PAGE) == PAGE && fsync(fd) == 0, "fsync");
		appends[i] = now() - start;
	}
	for (int i = 0; i < SYNCS; i++) {
		memset(buffer, i, PAGE);
		double start = now();
		must(pwrite(fd, buffer, PAGE, (off_t)i * PAGE) == PAGE && fdatasync(fd) == 0, "fdatasync");
		overwrites[i] = now() - start;
	}
	print_median("diskSync", overwrites, SYNCS);
	print_median("diskAppend", appends, SYNCS);
	close(fd);
}

static int looked_at;
static int look(const char *path, const struct stat *information, int kind, struct FTW *place)
{
	(void)path, (void)information, (void)place;
	looked_at += kind == FTW_F;
	return 0;
}

/* 5,000 files of 100 bytes to 8 KiB, to be packed. */
static void make_tree(const char *folder)
{
	static char content[8192], path[4096];
	must(mkdir(folder, 0755) == 0, folder);
	for (int i = 0; i < FOLDERS; i++) {
		snprintf(path, sizeof path, "%s/folder%d", folder, i);
		must(mkdir(path, 0755) == 0, path);
		for (int j = 0; j < FILES; j++) {
			snprintf(path, sizeof path, "%s/folder%d/file%d", folder, i, j);
			size_t size = 100 + next_random() % 8000;
			for (size_t k = 0; k < size; k++) content[k] = next_random();
			int fd = open(path, O_WRONLY | O_CREAT, 0644);
			must(fd >= 0 && write(fd, content, size) == (ssize_t)size, path);
			close(fd);
		}
	}
}

static double run(char *const *words)
{
	double start = now();
	int status;
	pid_t child = fork();
	if (child == 0) {
		execvp(words[0], words);
		_exit(127);
	}
	must(child > 0 && waitpid(child, &status, 0) == child && status == 0, words[0]);
	return now() - start;
}

static void walk(const char *name, const char *folder)
{
	looked_at = 0;
	double start = now();
	must(nftw(folder, look, 20, FTW_PHYS) == 0 && looked_at == FOLDERS * FILES, folder);
	printf("%s %.0f\n", name, now() - start);
}

int main(int argc, char **argv)
{
	if (argc < 3) return 2;
	const char *test = argv[1], *path = argv[2];
	if (strcmp(test, "write") == 0) write_large(path);
	else if (strcmp(test, "read") == 0) read_large(path);
	else if (strcmp(test, "random") == 0) read_randomly(path);
	else if (strcmp(test, "sync") == 0) sync_often(path);
	else if (strcmp(test, "make-tree") == 0) make_tree(path);
	else if (strcmp(test, "walk") == 0) walk(argv[3], path);
	else if (strcmp(test, "time") == 0) printf("%s %.0f\n", path, run(argv + 3));
	else return 2;
	return 0;
}
