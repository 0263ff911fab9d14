// SPDX-License-Identifier: MIT
// The processes that write, each by one way in which programs make things durable.
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "crashwriter.h"

enum { ACK_PAGE = 4096, BATCH = 10 };

static struct {
	int folder;	/* descriptor */
	int acks;	/* descriptor, or -1 */
	uint64_t seed;
	struct bounds bounds;
	struct timespec start;
	unsigned char *buffer;	/* a record */
} self;

/* Ends the process: nothing may be acknowledged after an error. */
static void must(int done, const char *what)
{
	if (done) return;
	fprintf(stderr, "crashwriter: %s: %s\n", what, strerror(errno));
	_exit(1);
}

__attribute__((format(printf, 1, 2))) static const char *path(const char *format, ...)
{
	static char text[PATH_SIZE];
	va_list values;
	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	return text;
}

static void acknowledge(int process, uint32_t seq)
{
	char page[ACK_PAGE] = "";
	int length = sprintf(page, "ACK %d %u\n", process, seq);
	if (self.acks >= 0)
		must(pwrite(self.acks, page, sizeof page, (off_t)process * sizeof page) == sizeof page, "acknowledge");
	/* Whole lines: a pipe takes so few bytes at once. */
	must(write(STDOUT_FILENO, page, length) == length, "standard output");
}

/* Whether there is a step @step, from 1 on. */
static int goes_on(uint32_t step)
{
	struct timespec now;
	if (self.bounds.steps && step > self.bounds.steps) return 0;
	if (self.bounds.seconds <= 0) return 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - self.start.tv_sec + (now.tv_nsec - self.start.tv_nsec) / 1e9 < self.bounds.seconds;
}

static int open_in_folder(const char *name, int flags)
{
	int fd = openat(self.folder, name, flags | O_CLOEXEC, 0644);
	must(fd >= 0, name);
	return fd;
}

static void sync_folder(const char *name)
{
	int fd = open_in_folder(name, O_RDONLY | O_DIRECTORY);
	must(fsync(fd) == 0, "fsync of a folder");
	close(fd);
}

static void put(int fd, const unsigned char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, bytes + done, size - done);
		must(n > 0, "write");
		done += n;
	}
}

static void put_record(int fd, int process, uint32_t seq)
{
	put(fd, self.buffer, make_record(self.seed, process, seq, self.buffer));
}

/* Makes a file with a record, and waits until it is on the medium. */
static void make_file(const char *name, int process, uint32_t seq)
{
	int fd = open_in_folder(name, O_WRONLY | O_CREAT | O_TRUNC);
	put_record(fd, process, seq);
	must(fsync(fd) == 0, "fsync");
	close(fd);
}

/*
 * Appends records to log-0, then log-1, ...: a file follows when the one before
 * it is on the medium, and the one before that is removed.
 */
static void write_log(void)
{
	int plain = -1, synchronous = -1;
	uint32_t seq = 0;
	for (uint32_t step = 1; goes_on(step); step++) {
		int direct = step % 7 == 0;
		int count = !direct && step % 5 == 0 ? BATCH : 1;
		for (; count; count--) {
			if (seq % LOG_RECORDS == 0) {
				if (plain >= 0) {
					must(fsync(plain) == 0, "fsync");
					close(plain);
					close(synchronous);
				}
				uint32_t file = seq / LOG_RECORDS;
				plain = open_in_folder(path("log-%u", file), O_WRONLY | O_CREAT | O_APPEND);
				synchronous = open_in_folder(path("log-%u", file), O_WRONLY | O_APPEND | O_DSYNC);
				sync_folder(".");
				if (file >= 2) must(unlinkat(self.folder, path("log-%u", file - 2), 0) == 0, "unlink");
			}
			put_record(direct ? synchronous : plain, LOG, ++seq);
		}
		if (!direct) must((step % 2 ? fsync(plain) : fdatasync(plain)) == 0, "fsync");
		acknowledge(LOG, seq);
	}
}

/* A file of two places, which are zero. */
static int make_slots(const char *name)
{
	int fd = open_in_folder(name, O_RDWR | O_CREAT);
	memset(self.buffer, 0, SLOT_SIZE);
	put(fd, self.buffer, SLOT_SIZE);
	put(fd, self.buffer, SLOT_SIZE);
	must(fsync(fd) == 0, "fsync");
	sync_folder(".");
	return fd;
}

/* Writes two places in turn, so that one of them is always whole. */
static void write_slots(void)
{
	int fd = make_slots("slots");
	for (uint32_t seq = 1; goes_on(seq); seq++) {
		must(lseek(fd, seq % 2 * SLOT_SIZE, SEEK_SET) >= 0, "lseek");
		put_record(fd, SLOTS, seq);
		must(fdatasync(fd) == 0, "fdatasync");
		acknowledge(SLOTS, seq);
	}
}

/* The same by a shared mapping. */
static void write_mapped(void)
{
	int fd = make_slots("mapped");
	unsigned char *slots = mmap(NULL, 2 * SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(slots != MAP_FAILED, "mmap");
	for (uint32_t seq = 1; goes_on(seq); seq++) {
		unsigned char *slot = slots + seq % 2 * SLOT_SIZE;
		memcpy(slot, self.buffer, make_record(self.seed, MAPPED, seq, self.buffer));
		/* Of a mapping, too, all is written by an fsync of the file. */
		must((seq % 4 < 2 ? msync(slot, SLOT_SIZE, MS_SYNC) : fsync(fd)) == 0, "msync");
		acknowledge(MAPPED, seq);
	}
}

/* Replaces a file as editors do. */
static void write_renamed(void)
{
	for (uint32_t seq = 1; goes_on(seq); seq++) {
		make_file("config.tmp", RENAME, seq);
		must(renameat(self.folder, "config.tmp", self.folder, "config") == 0, "rename");
		sync_folder(".");
		acknowledge(RENAME, seq);
	}
}

/* Makes a folder, a file and a link to it, and removes what is older. */
static void write_tree(void)
{
	char file[PATH_SIZE];
	must(mkdirat(self.folder, "tree", 0755) == 0, "mkdir");
	sync_folder(".");
	for (uint32_t seq = 1; goes_on(seq); seq++) {
		must(mkdirat(self.folder, path("tree/d%u", seq), 0755) == 0, "mkdir");
		strcpy(file, path("tree/d%u/file", seq));
		make_file(file, TREE, seq);
		must(linkat(self.folder, file, self.folder, path("tree/link%u", seq), 0) == 0, "link");
		sync_folder(path("tree/d%u", seq));
		sync_folder("tree");
		if (seq > TREE_KEPT) {
			uint32_t old = seq - TREE_KEPT;
			must(unlinkat(self.folder, path("tree/link%u", old), 0) == 0, "unlink");
			must(unlinkat(self.folder, path("tree/d%u/file", old), 0) == 0, "unlink");
			must(unlinkat(self.folder, path("tree/d%u", old), AT_REMOVEDIR) == 0, "rmdir");
			sync_folder("tree");
		}
		acknowledge(TREE, seq);
	}
}

static void put_noise(int fd, int file, size_t begin, size_t size)
{
	for (size_t i = 0; i < size; i++) self.buffer[i] = noise_byte(self.seed, file, begin + i);
	must(pwrite(fd, self.buffer, size, begin) == (ssize_t)size, "pwrite");
}

/* Changes files without a sync, for ever. Nothing is promised of them but that a byte is what was written there, or zero. */
static void write_noise(void)
{
	for (uint64_t step = 0;; step++) {
		uint64_t chance = mixed(self.seed, ~step);
		int file = chance % NOISE_FILES;
		size_t place = (chance >> 8) % NOISE_SIZE;
		size_t size = (chance >> 32) % 40000 + 1;
		const char *name = path("noise/n%d", file);
		int kind = (chance >> 56) % 8;
		if (kind == 0) {
			must(unlinkat(self.folder, name, 0) == 0 || errno == ENOENT, "unlink");
		} else {
			int fd = open_in_folder(name, O_WRONLY | O_CREAT | (kind == 1 ? O_TRUNC : 0));
			if (kind == 1)
				put_noise(fd, file, 0, size);
			else if (kind == 2)
				must(ftruncate(fd, place) == 0, "ftruncate");
			else if (place + size <= NOISE_SIZE)
				put_noise(fd, file, place, size);
			close(fd);
		}
		/* The others need the processor, too. */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

int write_all(const char *folder, uint64_t seed, struct bounds bounds, const char *acks, const char *letters)
{
	static void (*const processes[PROCESSES])(void) = {
		[LOG] = write_log, [SLOTS] = write_slots, [RENAME] = write_renamed, [TREE] = write_tree,
		[MAPPED] = write_mapped, [NOISE] = write_noise,
	};
	pid_t pids[PROCESSES] = { 0 };
	int failed = 0;
	self.seed = seed;
	self.bounds = bounds;
	self.buffer = malloc(LARGEST_RECORD);
	clock_gettime(CLOCK_MONOTONIC, &self.start);
	self.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(self.folder >= 0, folder);
	self.acks = acks ? open(acks, O_WRONLY | O_DSYNC | O_CLOEXEC) : -1;
	must(!acks || self.acks >= 0, acks);
	/* Here, so that it is there even if that process gets no time. */
	must(!strchr(letters, 'n') || mkdirat(self.folder, "noise", 0755) == 0, "mkdir");
	printf("SEED %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (int i = 0; i < PROCESSES; i++) {
		if (!strchr(letters, "lsrtmn"[i])) continue;
		pids[i] = fork();
		must(pids[i] >= 0, "fork");
		if (pids[i] == 0) {
			processes[i]();
			_exit(0);
		}
	}
	for (int i = 0; i < ACKNOWLEDGED; i++) {
		int status = 0;
		if (pids[i]) must(waitpid(pids[i], &status, 0) == pids[i], "waitpid");
		if (status) failed = 1;
	}
	if (pids[NOISE]) {
		int status;
		kill(pids[NOISE], SIGKILL);
		must(waitpid(pids[NOISE], &status, 0) == pids[NOISE], "waitpid");
		if (!WIFSIGNALED(status)) failed = 1;
	}
	close(self.folder);
	if (acks) close(self.acks);
	free(self.buffer);
	return failed;
}
