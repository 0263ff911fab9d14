// SPDX-License-Identifier: MIT
// Shared mappings of a file on a disk: processes see each other's stores, and so do read, write, truncate, fallocate and sync.
//   shared-disk FOLDER        the checks, with files in FOLDER
//   shared-disk fill FOLDER   stores to a hole of a full file system must end in SIGBUS or ENOSPC, and never in silence
#define _GNU_SOURCE
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "check.h"

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE, CHILDREN = 4, ROUNDS = 250 };

static int new_file(off_t size)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

static volatile char *map(int fd, size_t size, int protection)
{
	char *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	return memory;
}

static void unmap(volatile char *memory, size_t size)
{
	CHECK(munmap((void *)memory, size) == 0);
}

static char byte_at(int fd, off_t at)
{
	char byte = 0;
	CHECK(pread(fd, &byte, 1, at) == 1);
	return byte;
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	sync();
	/* Only root in the first namespace may; without it the rest of the check still holds. */
	if (fd >= 0 && write(fd, "3", 1) != 1) CHECK(errno == EPERM || errno == EACCES);
	if (fd >= 0) close(fd);
}

/* A child that answers each byte from a pipe. */
static int to_child[2], to_parent[2];

static void tell(int *ends)
{
	CHECK(write(ends[1], "x", 1) == 1);
}

static void told(int *ends)
{
	char byte;
	CHECK(read(ends[0], &byte, 1) == 1);
}

static pid_t run(void (*function)(void))
{
	CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		failures = 0;
		function();
		fflush(stdout);
		_exit(failures != 0);
	}
	return child;
}

static void reap(pid_t child)
{
	int status = -1;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	for (int i = 0; i < 2; i++) close(to_child[i]), close(to_parent[i]);
}

/* Opens the file itself: nothing of the mapping is inherited. */
static void follower(void)
{
	int fd = open("file", O_RDWR);
	volatile char *memory = map(fd, 4 * PAGE, READ_WRITE);
	told(to_child);
	CHECK(memory[1] == 'a' && memory[3 * PAGE] == 'b' && byte_at(fd, 1) == 'a');
	memory[2] = 'c';
	memory[PAGE + 7] = 'd';
	tell(to_parent);
	told(to_child);
	CHECK(memory[3] == 'w' && memory[2 * PAGE] == 'w');
	CHECK(pwrite(fd, "W", 1, 4) == 1);
	memory[5] = 'e';
	tell(to_parent);
	/* What is stored before the end is in the file. */
	memory[6] = 'f';
}

static void stores_are_seen(void)
{
	int fd = new_file(4 * PAGE);
	volatile char *memory = map(fd, 4 * PAGE, READ_WRITE);
	pid_t child = run(follower);
	memory[1] = 'a';
	memory[3 * PAGE] = 'b';
	tell(to_child);
	told(to_parent);
	CHECK(memory[2] == 'c' && memory[PAGE + 7] == 'd' && memory[1] == 'a');
	CHECK(byte_at(fd, PAGE + 7) == 'd');
	CHECK(pwrite(fd, "w", 1, 3) == 1 && pwrite(fd, "w", 1, 2 * PAGE) == 1);
	drop_caches();
	CHECK(memory[3] == 'w' && memory[1] == 'a' && byte_at(fd, 2) == 'c');
	tell(to_child);
	told(to_parent);
	CHECK(memory[4] == 'W' && memory[5] == 'e');
	reap(child);
	CHECK(memory[6] == 'f' && byte_at(fd, 6) == 'f');
	unmap(memory, 4 * PAGE);
	CHECK(close(fd) == 0);
	drop_caches();
	fd = open("file", O_RDONLY);
	CHECK(byte_at(fd, 6) == 'f' && byte_at(fd, 1) == 'a' && byte_at(fd, 3 * PAGE) == 'b');
	close(fd);
}

/* A mapping that nobody else has: its stores are in the cache when somebody looks, and on the disk after a sync. */
static void alone(void)
{
	int fd = new_file(3 * PAGE), other = open("file", O_RDONLY), copy = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
	volatile char *memory = map(fd, 3 * PAGE, READ_WRITE);
	struct stat before, after;
	CHECK(fstat(fd, &before) == 0);
	usleep(20000);
	memory[0] = '1';
	CHECK(byte_at(other, 0) == '1');
	memory[PAGE] = '2';
	char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, other, PAGE);
	CHECK(private != MAP_FAILED && private[0] == '2');
	memory[2 * PAGE] = '3';
	off_t from = 0;
	CHECK(copy_file_range(other, &from, copy, NULL, 3 * PAGE, 0) == 3 * PAGE && byte_at(copy, 2 * PAGE) == '3');
	memory[1] = '4';
	CHECK(msync((void *)memory, PAGE, MS_SYNC) == 0);
	memory[2] = '5';
	CHECK(fsync(fd) == 0);
	memory[3] = '6';
	CHECK(fdatasync(other) == 0);
	memory[4] = '7';
	CHECK(syncfs(fd) == 0);
	memory[5] = '8';
	sync();
	drop_caches();
	CHECK(memory[1] == '4' && byte_at(other, 1) == '4' && byte_at(other, 5) == '8');
	CHECK(fstat(fd, &after) == 0);
	CHECK(before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
	CHECK(munmap(private, PAGE) == 0);
	unmap(memory, 3 * PAGE);
	close(fd), close(other), close(copy);
	CHECK(unlink("copy") == 0);
}

/* Pages appear and go while they are mapped. */
static void sizes(void)
{
	int fd = new_file(2 * PAGE + 100);
	volatile char *memory = map(fd, 8 * PAGE, READ_WRITE), *reader = map(fd, 8 * PAGE, PROT_READ);
	memory[2 * PAGE + 50] = 'x';
	memory[10] = 'y';
	getppid();
	CHECK(ftruncate(fd, PAGE + 1) == 0 && ftruncate(fd, 4 * PAGE) == 0);
	CHECK(memory[2 * PAGE + 50] == 0 && reader[2 * PAGE + 50] == 0 && reader[10] == 'y' && byte_at(fd, 2 * PAGE + 50) == 0);
	/* A byte behind the end of the file is not part of it, also when the file grows over it. */
	CHECK(ftruncate(fd, 3 * PAGE + 10) == 0);
	memory[3 * PAGE + 5] = 'p';
	memory[3 * PAGE + 20] = 'q';
	CHECK(msync((void *)memory, 4 * PAGE, MS_SYNC) == 0 && ftruncate(fd, 5 * PAGE) == 0);
	CHECK(byte_at(fd, 3 * PAGE + 5) == 'p' && byte_at(fd, 3 * PAGE + 20) == 0);
	CHECK(pwrite(fd, "end", 3, 6 * PAGE) == 3 && memory[6 * PAGE + 2] == 'd' && reader[6 * PAGE] == 'e');
	memory[7 * PAGE - 2000] = 0;
	/* Appended by another descriptor. */
	int other = open("file", O_WRONLY | O_APPEND);
	CHECK(write(other, "more", 4) == 4 && reader[6 * PAGE + 3] == 'm' && memory[6 * PAGE + 6] == 'e');
	unmap(memory, 8 * PAGE), unmap(reader, 8 * PAGE);
	close(fd), close(other);
}

static int can_fallocate = 1;

static int change(int fd, int mode, off_t start, off_t length)
{
	int result = fallocate(fd, mode, start, length);
	if (result && errno == EOPNOTSUPP) can_fallocate = 0;
	return result == 0 || errno == EOPNOTSUPP;
}

static void holes(void)
{
	int fd = new_file(8 * PAGE);
	volatile char *memory = map(fd, 8 * PAGE, READ_WRITE), *reader = map(fd, 8 * PAGE, PROT_READ);
	for (int i = 0; i < 8 * PAGE; i++) memory[i] = 'A' + i / PAGE;
	CHECK(reader[0] == 0 || reader[0] == 'A');
	CHECK(change(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 100, 2 * PAGE));
	if (can_fallocate) {
		CHECK(memory[PAGE + 99] == 'B' && memory[PAGE + 100] == 0 && reader[2 * PAGE] == 0 && reader[3 * PAGE + 99] == 0);
		CHECK(reader[3 * PAGE + 100] == 'D' && byte_at(fd, 2 * PAGE) == 0 && byte_at(fd, 3 * PAGE + 100) == 'D');
		/* A hole may be stored to. */
		memory[2 * PAGE + 1] = 'h';
		CHECK(byte_at(fd, 2 * PAGE + 1) == 'h' && reader[2 * PAGE + 1] == 'h');
	}
	CHECK(change(fd, FALLOC_FL_ZERO_RANGE, 4 * PAGE + 10, 20));
	if (can_fallocate) CHECK(memory[4 * PAGE + 9] == 'E' && memory[4 * PAGE + 10] == 0 && reader[4 * PAGE + 30] == 'E');
	memory[6 * PAGE] = 'm';
	CHECK(change(fd, FALLOC_FL_COLLAPSE_RANGE, 4 * PAGE, PAGE));
	if (can_fallocate) {
		CHECK(memory[4 * PAGE] == 'F' && reader[5 * PAGE] == 'm' && byte_at(fd, 5 * PAGE) == 'm' && reader[6 * PAGE] == 'H');
		memory[5 * PAGE + 1] = 'n';
		CHECK(change(fd, FALLOC_FL_INSERT_RANGE, PAGE, PAGE));
		CHECK(memory[PAGE] == 0 && reader[6 * PAGE] == 'm' && reader[6 * PAGE + 1] == 'n' && memory[7 * PAGE] == 'H');
		CHECK(memory[0] == 'A' && memory[2 * PAGE] == 'B');
	}
	unmap(memory, 8 * PAGE), unmap(reader, 8 * PAGE);
	drop_caches();
	CHECK(byte_at(fd, 0) == 'A' && (!can_fallocate || byte_at(fd, 6 * PAGE + 1) == 'n'));
	close(fd);
}

/* A mutex and a counter in the file, as databases have them. One process ends with the mutex locked. */
struct table {
	pthread_mutex_t mutex;
	long count;
	long slots[CHILDREN];
};

static struct table *open_table(void)
{
	int fd = open("file", O_RDWR);
	struct table *table = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	CHECK(table != MAP_FAILED && close(fd) == 0);
	return table;
}

static int lock(struct table *table)
{
	int error = pthread_mutex_lock(&table->mutex);
	if (error == EOWNERDEAD) CHECK(pthread_mutex_consistent(&table->mutex) == 0);
	else CHECK(error == 0);
	return error;
}

static void locks(void)
{
	pthread_mutexattr_t attributes;
	int fd = new_file(PAGE), dead = 0;
	pid_t children[CHILDREN];
	struct table *table = open_table();
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	CHECK(pthread_mutex_init(&table->mutex, &attributes) == 0);
	fflush(stdout);
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i] != 0) continue;
		failures = 0;
		CHECK(munmap(table, PAGE) == 0);
		table = open_table();
		for (int round = 0; round < ROUNDS; round++) {
			lock(table);
			table->count++;
			/* Seen by whoever locks after this. */
			table->slots[i] = round;
			CHECK(pthread_mutex_unlock(&table->mutex) == 0);
		}
		if (i == 0) lock(table);
		fflush(stdout);
		_exit(failures != 0);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status = -1;
		CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
	}
	dead = lock(table) == EOWNERDEAD;
	for (int i = 0; i < CHILDREN; i++) CHECK(table->slots[i] == ROUNDS - 1);
	CHECK(table->count == CHILDREN * ROUNDS);
	pthread_mutex_unlock(&table->mutex);
	/* Others may have had the lock after the one that died, and made it consistent. */
	(void)dead;
	CHECK(munmap(table, PAGE) == 0 && close(fd) == 0);
}

static void fill(void)
{
	struct statvfs fs;
	int fd = new_file(64 << 20), status;
	CHECK(statvfs(".", &fs) == 0 && (fs.f_bsize * fs.f_bfree) < 48 << 20);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		char *memory = mmap(NULL, 64 << 20, READ_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) _exit(2);
		/* Each block, also where a page has four. */
		for (size_t at = 0; at < 64 << 20; at += 1024) memory[at] = 1;
		_exit(msync(memory, 64 << 20, MS_SYNC) == -1 && errno == ENOSPC ? 0 : 3);
	}
	CHECK(waitpid(child, &status, 0) == child && (status == 0 || WTERMSIG(status) == SIGBUS));
	/* The file system goes on. */
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, "x", 1, 0) == 1 && fsync(fd) == 0 && close(fd) == 0);
}

int main(int count, char **arguments)
{
	int filling = count == 3 && strcmp(arguments[1], "fill") == 0;
	CHECK(chdir(count < 2 ? "/tmp" : arguments[count - 1]) == 0);
	if (filling) {
		fill();
	} else {
		stores_are_seen();
		alone();
		sizes();
		holes();
		locks();
	}
	CHECK(unlink("file") == 0);
	puts("shared-disk done");
	return failures != 0;
}
