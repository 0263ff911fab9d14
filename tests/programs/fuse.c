// SPDX-License-Identifier: MIT
// A file system served by a process of the guest, by the kernel's protocol alone: reads, writes, folders, mappings, its death.
#define _GNU_SOURCE
#include <dirent.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "check.h"

#define POINT "/tmp/fuse"

enum { ENTRIES = 300, LONGEST = 1 << 20, MOST_WRITTEN = 128 << 10, PAGE = 4096 };
/* The tree: one folder of ENTRIES empty files, and three files. DATA and DIRECT have the same bytes. */
enum { ROOT = FUSE_ROOT_ID, FOLDER, TEXT, DATA, DIRECT, FIRST_ENTRY };

static const char text[] = "served by a process\n";
static char data[LONGEST];
static size_t data_length;

static const struct {
	const char *name;
	uint64_t node;
} top[] = { { "folder", FOLDER }, { "text", TEXT }, { "data", DATA }, { "direct", DIRECT } };

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = PAGE };
	bool folder = node == ROOT || node == FOLDER;
	attr.mode = folder ? S_IFDIR | 0755 : node == TEXT ? S_IFREG | 0444 : S_IFREG | 0644;
	attr.size = node == TEXT ? sizeof text - 1 : node == DATA || node == DIRECT ? data_length : 0;
	return attr;
}

static uint64_t find(uint64_t parent, const char *name)
{
	char *end;
	for (size_t i = 0; parent == ROOT && i < sizeof top / sizeof *top; i++)
		if (strcmp(top[i].name, name) == 0) return top[i].node;
	if (parent != FOLDER || strncmp(name, "entry", 5) != 0) return 0;
	unsigned long number = strtoul(name + 5, &end, 10);
	return *end == '\0' && number < ENTRIES ? FIRST_ENTRY + number : 0;
}

/* The entries of a folder from @offset on, as many as fit in @size. */
static size_t list(uint64_t node, uint64_t offset, char *buffer, size_t size)
{
	size_t used = 0, count = node == ROOT ? sizeof top / sizeof *top : ENTRIES;
	for (; offset < count; offset++) {
		char name[16];
		struct fuse_dirent entry = { .off = offset + 1, .type = DT_REG };
		if (node == ROOT) {
			strcpy(name, top[offset].name);
			entry.ino = top[offset].node;
			if (entry.ino == FOLDER) entry.type = DT_DIR;
		} else {
			sprintf(name, "entry%d", (int)offset);
			entry.ino = FIRST_ENTRY + offset;
		}
		entry.namelen = strlen(name);
		size_t length = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
		if (used + length > size) break;
		memset(buffer + used, 0, length);
		memcpy(buffer + used, &entry, FUSE_NAME_OFFSET);
		memcpy(buffer + used + FUSE_NAME_OFFSET, name, entry.namelen);
		used += length;
	}
	return used;
}

static void answer(int device, uint64_t unique, int error, const void *body, size_t length)
{
	struct fuse_out_header header = { .len = sizeof header + length, .error = -error, .unique = unique };
	struct iovec parts[] = { { &header, sizeof header }, { (void *)body, length } };
	CHECK(writev(device, parts, 2) == (ssize_t)header.len);
}

static char listed[LONGEST];

static void serve_one(int device, struct fuse_in_header *in, void *body)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = 1 << 16, .flags = FUSE_BIG_WRITES, .max_write = MOST_WRITTEN };
		return answer(device, in->unique, 0, &out, sizeof out);
	}
	case FUSE_LOOKUP: {
		uint64_t node = find(in->nodeid, body);
		struct fuse_entry_out out = { .nodeid = node, .attr = attributes(node) };
		return node ? answer(device, in->unique, 0, &out, sizeof out) : answer(device, in->unique, ENOENT, NULL, 0);
	}
	case FUSE_SETATTR: {
		struct fuse_setattr_in *set = body;
		if (set->valid & FATTR_SIZE) {
			if (set->size > LONGEST) return answer(device, in->unique, EFBIG, NULL, 0);
			if (set->size < data_length) memset(data + set->size, 0, data_length - set->size);
			data_length = set->size;
		}
	}
	/* fall through */
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr = attributes(in->nodeid) };
		return answer(device, in->unique, 0, &out, sizeof out);
	}
	case FUSE_OPEN:
	case FUSE_OPENDIR: {
		struct fuse_open_out out = { .open_flags = in->nodeid == DIRECT ? FOPEN_DIRECT_IO : 0 };
		return answer(device, in->unique, 0, &out, sizeof out);
	}
	case FUSE_READ: {
		struct fuse_read_in *read = body;
		const char *bytes = in->nodeid == TEXT ? text : data;
		size_t length = attributes(in->nodeid).size, from = read->offset < length ? read->offset : length;
		return answer(device, in->unique, 0, bytes + from, length - from < read->size ? length - from : read->size);
	}
	case FUSE_WRITE: {
		struct fuse_write_in *write = body;
		struct fuse_write_out out = { .size = write->size };
		if (write->offset + write->size > LONGEST) return answer(device, in->unique, EFBIG, NULL, 0);
		memcpy(data + write->offset, write + 1, write->size);
		if (write->offset + write->size > data_length) data_length = write->offset + write->size;
		return answer(device, in->unique, 0, &out, sizeof out);
	}
	case FUSE_READDIR: {
		struct fuse_read_in *read = body;
		return answer(device, in->unique, 0, listed, list(in->nodeid, read->offset, listed, read->size));
	}
	case FUSE_STATFS: {
		struct fuse_statfs_out out = { .st = { .blocks = 1234, .bsize = PAGE, .namelen = 255 } };
		return answer(device, in->unique, 0, &out, sizeof out);
	}
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNC:
	case FUSE_DESTROY:
		return answer(device, in->unique, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return answer(device, in->unique, ENOSYS, NULL, 0);
	}
}

/* The daemon. It ends when the file system is unmounted. */
static void serve(int device)
{
	static char request[MOST_WRITTEN + 2 * PAGE];
	for (;;) {
		ssize_t length = read(device, request, sizeof request);
		if (length < 0 && errno == ENODEV) _exit(failures != 0);
		CHECK(length >= (ssize_t)sizeof(struct fuse_in_header));
		if (length < 0) _exit(1);
		serve_one(device, (void *)request, request + sizeof(struct fuse_in_header));
	}
}

/* What the device says to a daemon's bad calls, before it has served anything. */
static void lie(int device)
{
	char small[16];
	struct fuse_out_header header = { .len = sizeof header, .unique = 12345 };
	CHECK_ERROR(read(device, small, sizeof small), EINVAL);
	CHECK_ERROR(write(device, small, sizeof small), EINVAL);
	CHECK_ERROR(write(device, &header, sizeof header), ENOENT);
	CHECK_ERROR(write(device, (void *)0xfffff000, sizeof header), EFAULT);
	header.len++;
	CHECK_ERROR(write(device, &header, sizeof header), EINVAL);
}

static int device;

static pid_t start(void)
{
	char options[80];
	device = open("/dev/fuse", O_RDWR);
	CHECK(device >= 0);
	sprintf(options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	CHECK(mount("test", POINT, "fuse", MS_NOSUID | MS_NODEV, options) == 0);
	lie(device);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) serve(device);
	close(device);
	return child;
}

static void folders(void)
{
	bool seen[ENTRIES] = { false };
	int count = 0;
	DIR *folder = opendir(POINT "/folder");
	CHECK(folder);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		int number = -1;
		CHECK(sscanf(entry->d_name, "entry%d", &number) == 1 && number >= 0 && number < ENTRIES && !seen[number]);
		if (number >= 0 && number < ENTRIES) seen[number] = true;
		count++;
	}
	CHECK(count == ENTRIES);
	if (folder) closedir(folder);

	struct stat st;
	CHECK(stat(POINT "/folder/entry299", &st) == 0 && st.st_ino == FIRST_ENTRY + 299 && st.st_size == 0);
	CHECK_ERROR(stat(POINT "/folder/entry300", &st), ENOENT);
	CHECK_ERROR(mkdir(POINT "/new", 0700), ENOSYS);
	struct statvfs fs;
	CHECK(statvfs(POINT, &fs) == 0 && fs.f_blocks == 1234);
}

/* Bytes go there and come back, in transfers of many sizes; the last one is longer than a request may be. */
static void transfers(const char *name)
{
	static char out[LONGEST], back[LONGEST];
	int fd = open(name, O_RDWR | O_TRUNC);
	size_t at = 0;
	CHECK(fd >= 0);
	for (size_t i = 0; i < LONGEST; i++) out[i] = i * 2654435761u >> 13;
	for (size_t size = 1; at + size < LONGEST / 2; at += size, size = size * 3 + 1)
		CHECK(pwrite(fd, out + at, size, at) == (ssize_t)size);
	CHECK(pwrite(fd, out + at, LONGEST - at, at) == (ssize_t)(LONGEST - at));
	for (size_t size = 1, from = 0; from < LONGEST; from += size, size = size * 5 + 3) {
		size_t want = size < LONGEST - from ? size : LONGEST - from;
		memset(back, 0, want);
		CHECK(pread(fd, back, want, from) == (ssize_t)want && memcmp(back, out + from, want) == 0);
	}
	CHECK(pread(fd, back, 10, LONGEST - 3) == 3 && pread(fd, back, 10, LONGEST) == 0);

	struct iovec parts[] = { { back, 5 }, { back + 100000, 70000 }, { back + 5, 1 } };
	CHECK(preadv(fd, parts, 3, 77) == 70006 && memcmp(back, out + 77, 5) == 0 && back[5] == out[77 + 70005]);
	CHECK(memcmp(back + 100000, out + 82, 70000) == 0);
	CHECK_ERROR(pwrite(fd, out, 10, LONGEST), EFBIG);
	CHECK_ERROR(pread(fd, (void *)0xfffff000, 10, 0), EFAULT);
	CHECK_ERROR(pwrite(fd, (void *)0xfffff000, 10, 0), EFAULT);
	CHECK(ftruncate(fd, 5000) == 0 && pread(fd, back, PAGE, PAGE) == 5000 - PAGE);
	CHECK(close(fd) == 0);
}

static void mappings(void)
{
	int fd = open(POINT "/data", O_RDWR);
	char byte = 0, *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	char first = private[10];
	private[10]++;
	CHECK(pread(fd, &byte, 1, 10) == 1 && byte == first);
	shared[PAGE + 1] = 'm';
	CHECK(msync(shared, 2 * PAGE, MS_SYNC) == 0);
	CHECK(pread(fd, &byte, 1, PAGE + 1) == 1 && byte == 'm');
	shared[PAGE + 2] = 'n';
	CHECK(munmap(shared, 2 * PAGE) == 0 && munmap(private, PAGE) == 0 && fsync(fd) == 0 && close(fd) == 0);
	fd = open(POINT "/direct", O_RDONLY);
	CHECK(pread(fd, &byte, 1, PAGE + 2) == 1 && byte == 'n' && close(fd) == 0);
}

/* A request that the daemon never answers ends with it, and so does each one after that. */
static void death(pid_t daemon)
{
	char buffer[100];
	int fd = open(POINT "/direct", O_RDONLY), status;
	kill(daemon, SIGSTOP);
	CHECK(waitpid(daemon, &status, WUNTRACED) == daemon && WIFSTOPPED(status));
	fflush(stdout);
	pid_t reader = fork();
	if (reader == 0) _exit(read(fd, buffer, sizeof buffer) == -1 && (errno == ECONNABORTED || errno == ENOTCONN) ? 0 : 1);
	wait_until_asleep(reader);
	kill(daemon, SIGKILL);
	CHECK(waitpid(daemon, &status, 0) == daemon && WIFSIGNALED(status));
	CHECK(waitpid(reader, &status, 0) == reader && status == 0);
	CHECK_ERROR(open(POINT "/text", O_RDONLY), ENOTCONN);
	CHECK_ERROR(read(fd, buffer, sizeof buffer), ENOTCONN);
	close(fd);
	CHECK(umount(POINT) == 0);
}

int main(void)
{
	char buffer[sizeof text] = "";
	int status;
	CHECK(mkdir(POINT, 0700) == 0);
	pid_t daemon = start();
	int fd = open(POINT "/text", O_RDONLY);
	CHECK(read(fd, buffer, sizeof buffer) == sizeof text - 1 && strcmp(buffer, text) == 0 && close(fd) == 0);
	folders();
	transfers(POINT "/data");
	transfers(POINT "/direct");
	mappings();
	CHECK(umount(POINT) == 0 && waitpid(daemon, &status, 0) == daemon && status == 0);

	death(start());
	CHECK(rmdir(POINT) == 0);
	puts("fuse done");
	return failures != 0;
}
