// SPDX-License-Identifier: MIT
// Takes files from standard input into the working directory.
//
// They come into a folder of their own first, and get their places when all
// are there: what is cancelled, or has no room, leaves nothing behind. A name
// that is taken stays what it is, and the new file gets another one.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "transfer.h"

/* Names that are tried beside one that is taken. */
#define MOST_NAMES 10000

/* What comes before the path and the content of each file. */
struct entry {
	uint32_t kind;
	uint32_t length;	/* of the path */
	uint64_t size;
	int64_t changed;	/* milliseconds since 1970 */
};

enum result { DONE, FAILED, CANCELLED };

static volatile sig_atomic_t ended;
/* What poll() lets through. */
static sigset_t outside;

static void end(int number)
{
	ended = 1;
}

/* Signals come only within ppoll(), so that none is missed. */
static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = end };
	sigset_t all;

	sigemptyset(&all);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaction(signals[i], &action, NULL);
		sigaddset(&all, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &all, &outside);
}

/* Returns 0 if the input ends before, or a signal comes. */
static int read_all(void *bytes, size_t count)
{
	char *at = bytes;

	while (count > 0) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		ssize_t n;

		if (ppoll(&input, 1, NULL, &outside) < 0) {
			if (errno == EINTR && !ended)
				continue;
			return 0;
		}
		n = read(STDIN_FILENO, at, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		at += n;
		count -= n;
	}
	return 1;
}

/* Whether a path leads to a place below the folder. */
static int leads_below(const char *path, size_t length)
{
	if (memchr(path, 0, length))
		return 0;
	for (const char *part = path;; part++) {
		size_t size = strcspn(part, "/");

		if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
			return 0;
		part += size;
		if (!*part)
			return 1;
	}
}

static enum result take_content(int fd, const char *path, uint64_t size)
{
	static char piece[PIECE];

	while (size > 0) {
		size_t count = size < sizeof piece ? size : sizeof piece;

		if (!read_all(piece, count))
			return CANCELLED;
		if (!write_all(fd, piece, count)) {
			complain(path, reason(errno));
			return FAILED;
		}
		size -= count;
	}
	return DONE;
}

static enum result take_file(int folder, const char *path, const struct entry *entry)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	int fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	enum result result;

	if (fd < 0) {
		complain(path, reason(errno));
		return FAILED;
	}
	result = take_content(fd, path, entry->size);
	times[1].tv_sec = entry->changed / 1000;
	times[1].tv_nsec = entry->changed % 1000 * 1000000;
	if (entry->changed > 0)
		futimens(fd, times);
	if (close(fd) != 0 && result == DONE) {
		complain(path, reason(errno));
		result = FAILED;
	}
	return result;
}

static enum result take_all(int folder)
{
	struct entry entry;
	char path[PATH_MAX];

	for (;;) {
		enum result result = DONE;

		if (!read_all(&entry, sizeof entry))
			return CANCELLED;
		if (entry.kind == END)
			return DONE;
		if (entry.length >= sizeof path) {
			complain(NULL, "a path is too long");
			return FAILED;
		}
		if (!read_all(path, entry.length))
			return CANCELLED;
		path[entry.length] = '\0';
		if (!leads_below(path, entry.length)) {
			complain(path, "this is no path of a file");
			return FAILED;
		}
		if (entry.kind == FILE_ENTRY) {
			result = take_file(folder, path, &entry);
		} else if (entry.kind != FOLDER_ENTRY) {
			complain(NULL, "what comes is no list of files");
			return FAILED;
		} else if (mkdirat(folder, path, 0777) != 0) {
			complain(path, reason(errno));
			return FAILED;
		}
		if (result != DONE)
			return result;
	}
}

/* Moves a file if its new name is free. Returns 0 or errno. */
static int move_to(int folder, const char *name, const char *to)
{
	struct stat there;

	if (syscall(SYS_renameat2, folder, name, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* A file system that cannot do both at once, as a shared folder. */
	if (fstatat(AT_FDCWD, to, &there, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return renameat(folder, name, AT_FDCWD, to) == 0 ? 0 : errno;
}

/*
 * Where "(1)" is put in a name: before its extension. The first letter begins
 * none, and that of a tar has two parts.
 */
static size_t stem(const char *name)
{
	const char *dot = strrchr(name, '.');

	/* What would leave no room for the rest is no extension. */
	if (!dot || dot == name || strlen(dot) > NAME_MAX / 2)
		return strlen(name);
	if (dot - name > 4 && strncmp(dot - 4, ".tar", 4) == 0)
		dot -= 4;
	return dot - name;
}

/* Of the first bytes of a name, those that are whole letters. */
static size_t whole(const char *name, size_t count)
{
	while (count > 0 && (name[count] & 0xc0) == 0x80)
		count--;
	return count;
}

/* Writes the name that is tried as the one of a number. */
static void number_name(char *to, size_t room, const char *name, size_t head, int number)
{
	char note[16];
	size_t most = NAME_MAX - strlen(name + head) - snprintf(note, sizeof note, " (%d)", number);

	snprintf(to, room, "%.*s%s%s", (int)whole(name, head < most ? head : most), name, note, name + head);
}

static enum result place(int folder, const char *name)
{
	char to[PATH_MAX];
	struct stat is;
	size_t head = strlen(name);
	int error = EEXIST;

	if (fstatat(folder, name, &is, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(is.st_mode))
		head = stem(name);
	snprintf(to, sizeof to, "%s", name);
	for (int i = 1; i <= MOST_NAMES && (error = move_to(folder, name, to)) == EEXIST; i++)
		number_name(to, sizeof to, name, head, i);
	if (error != 0) {
		complain(name, reason(error));
		return FAILED;
	}
	return printf("%s%c%s%c", name, 0, to, 0) < 0 ? FAILED : DONE;
}

static enum result place_all(int folder)
{
	DIR *entries = fdopendir(dup(folder));
	char **names = NULL;
	size_t count = 0;
	enum result result = DONE;

	if (!entries)
		return FAILED;
	/* A listing of a folder that changes may miss something. */
	for (struct dirent *entry; (entry = readdir(entries));) {
		char **more;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		more = realloc(names, (count + 1) * sizeof *more);
		if (more)
			names = more;
		if (!more || !(names[count] = strdup(entry->d_name))) {
			complain(NULL, reason(ENOMEM));
			result = FAILED;
			break;
		}
		count++;
	}
	closedir(entries);
	for (size_t i = 0; i < count && result == DONE; i++)
		result = place(folder, names[i]);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return result;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	return remove(path) != 0;
}

int take(void)
{
	char path[] = ".auklet-upload-XXXXXX", here[PATH_MAX];
	enum result result;
	int folder;

	if (!getcwd(here, sizeof here)) {
		complain("the working directory", reason(errno));
		return 1;
	}
	catch_signals();
	folder = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (folder < 0) {
		complain(here, reason(errno));
		return 1;
	}
	printf("%s%c", here, 0);
	result = take_all(folder);
	if (result == DONE)
		result = place_all(folder);
	close(folder);
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		complain(path, reason(errno));
	if (fflush(stdout) != 0 && result == DONE)
		result = FAILED;
	return result;
}
