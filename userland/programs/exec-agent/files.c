// SPDX-License-Identifier: MIT
// The file server: files of the guest for the machine's owner, over one
// connection (docs/exec.md, "Files").
//
// It is a process of its own, so that a file system that does not answer stops
// no commands. It does one request after the other. The owner makes a further
// connection, and with it a further server, where one keeps others waiting.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"

/* Files that may be open at once. */
#define MOST_FILES 65536

/* Bytes of one piece of a listing. */
#define LISTING (64 * 1024)

#define CHANGES (IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF)

enum kind { NONE, A_FILE, A_FOLDER, A_WATCH };

/* What a descriptor is. A handle is the number of one. */
struct handle {
	enum kind kind;
	DIR *folder;
};

static struct handle *handles;
static size_t handle_count;
/* An answer with what follows it. The same bytes are what follows a request. */
static struct answer *answer;
static char *bytes;

/* Reads all of it. The owner ends the connection before a request only. */
static void receive(void *to, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t n = read(STDIN_FILENO, (char *)to + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(0);
		have += n;
	}
}

/* Sends the answer with the bytes behind it. */
static void reply(uint32_t watch, int error, size_t length)
{
	*answer = (struct answer) { .watch = watch, .error = error, .length = error ? 0 : length };
	for (size_t sent = 0, size = sizeof *answer + answer->length; sent < size;) {
		ssize_t n = write(STDIN_FILENO, (char *)answer + sent, size - sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(0);
		sent += n;
	}
}

/* ---- handles ---- */

static struct handle *find(uint32_t number, enum kind kind)
{
	return number < handle_count && handles[number].kind == kind ? &handles[number] : NULL;
}

/* Keeps a descriptor, and answers its number. */
static int keep(int fd, enum kind kind, DIR *folder, size_t *length)
{
	if ((size_t)fd >= handle_count) {
		size_t count = 2 * (size_t)fd;
		struct handle *more = realloc(handles, count * sizeof *more);

		if (!more) {
			if (folder)
				closedir(folder);
			else
				close(fd);
			return ENOMEM;
		}
		memset(more + handle_count, 0, (count - handle_count) * sizeof *more);
		handles = more;
		handle_count = count;
	}
	handles[fd] = (struct handle) { .kind = kind, .folder = folder };
	*length = sizeof(uint32_t);
	memcpy(bytes, &(uint32_t) { fd }, *length);
	return 0;
}

static int close_handle(uint32_t number)
{
	int failed;

	if (number >= handle_count || handles[number].kind == NONE)
		return EBADF;
	failed = handles[number].folder ? closedir(handles[number].folder) : close(number);
	handles[number] = (struct handle) { .kind = NONE };
	/* A file system may tell here what it could not write. */
	return failed ? errno : 0;
}

/* ---- requests ---- */

/*
 * Only regular files are opened: to open a pipe may not end, and to open a
 * device may do something.
 */
static int open_file(const char *path, const struct request *request, size_t *length)
{
	int flags = request->flags & TO_WRITE ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
	int error = check_file(path), fd;
	struct stat s;

	if (error)
		return error;
	/* Some files of /proc make a reader wait otherwise. */
	fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, request->argument & 07777);
	if (fd < 0)
		return errno;
	if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
		close(fd);
		return EACCES;
	}
	return keep(fd, A_FILE, NULL, length);
}

static int open_folder(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return error;
	}
	return keep(fd, A_FOLDER, folder, length);
}

static int watch_path(const char *path, size_t *length)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return errno;
	if (inotify_add_watch(fd, path, CHANGES) < 0) {
		int error = errno;

		close(fd);
		return error;
	}
	return keep(fd, A_WATCH, NULL, length);
}

static int read_piece(const struct request *request, size_t *length)
{
	ssize_t n;

	if (!find(request->handle, A_FILE))
		return EBADF;
	if (request->argument > PIECE)
		return EINVAL;
	do
		n = read(request->handle, bytes, request->argument);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	*length = n;
	return 0;
}

static int write_piece(const struct request *request)
{
	if (!find(request->handle, A_FILE))
		return EBADF;
	for (size_t done = 0; done < request->length;) {
		ssize_t n = write(request->handle, bytes + done, request->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += n;
	}
	return 0;
}

static char letter_of(DIR *folder, const struct dirent *entry)
{
	struct stat s;

	switch (entry->d_type) {
	case DT_REG:
		return 'f';
	case DT_DIR:
		return 'd';
	case DT_LNK:
		return 'l';
	case DT_UNKNOWN:
		/* The file system does not say it here. */
		if (fstatat(dirfd(folder), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0)
			return S_ISREG(s.st_mode) ? 'f' : S_ISDIR(s.st_mode) ? 'd' : S_ISLNK(s.st_mode) ? 'l' : 'o';
	}
	return 'o';
}

/* Some of a folder's entries: each a letter and a name with NUL. */
static int read_entries(const struct request *request, size_t *length)
{
	const struct handle *handle = find(request->handle, A_FOLDER);
	size_t have = 0;

	if (!handle)
		return EBADF;
	while (have < LISTING - NAME_MAX - 2) {
		struct dirent *entry;
		size_t size;

		errno = 0;
		entry = readdir(handle->folder);
		if (!entry && errno)
			return errno;
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		size = strlen(entry->d_name) + 1;
		if (size > NAME_MAX + 1)
			return ENAMETOOLONG;
		bytes[have++] = letter_of(handle->folder, entry);
		memcpy(bytes + have, entry->d_name, size);
		have += size;
	}
	*length = have;
	return 0;
}

/*
 * Takes @count absolute paths that follow a request, each with NUL. Returns an
 * error if they are not exactly that.
 */
static int take_paths(const struct request *request, int count, char *paths[])
{
	char *at = bytes, *end = bytes + request->length;

	for (int i = 0; i < count; i++) {
		char *zero = memchr(at, 0, end - at);

		if (!zero || *at != '/')
			return EINVAL;
		if (zero - at >= PATH_MAX)
			return ENAMETOOLONG;
		paths[i] = at;
		at = zero + 1;
	}
	return at == end ? 0 : EINVAL;
}

static int paths_of(uint32_t operation)
{
	switch (operation) {
	case STATUS:
	case OPEN:
	case OPEN_FOLDER:
	case WATCH:
	case MAKE_FOLDER:
	case REMOVE:
		return 1;
	case RENAME:
		return 2;
	}
	return 0;
}

/* Does a request. The bytes that are to follow the answer take their place. */
static int do_request(const struct request *request, size_t *length)
{
	int count = paths_of(request->operation);
	char *path[2];
	struct status status;
	int error = count ? take_paths(request, count, path) : 0;

	if (error)
		return error;
	switch (request->operation) {
	case STATUS:
		error = get_status(path[0], &status);
		*length = sizeof status;
		memcpy(bytes, &status, sizeof status);
		return error;
	case OPEN:
		return open_file(path[0], request, length);
	case OPEN_FOLDER:
		return open_folder(path[0], length);
	case WATCH:
		return watch_path(path[0], length);
	case READ:
		return read_piece(request, length);
	case WRITE:
		return write_piece(request);
	case ENTRIES:
		return read_entries(request, length);
	case CLOSE:
		return close_handle(request->handle);
	case MAKE_FOLDER:
		return make_folder(path[0], request->argument, request->flags);
	case RENAME:
		return rename(path[0], path[1]) == 0 ? 0 : errno;
	case REMOVE:
		return remove_path(path[0], request->flags);
	}
	return ENOSYS;
}

static void serve_request(void)
{
	struct request request;
	size_t length = 0;
	int error;

	receive(&request, sizeof request);
	if (request.length > PIECE) {
		fprintf(stderr, "exec-agent: a request of %u bytes for a file was refused\n", request.length);
		exit(1);
	}
	receive(bytes, request.length);
	error = do_request(&request, &length);
	reply(0, error, length);
}

/* Tells what has changed where a watch is. */
static void tell_changes(int fd)
{
	_Alignas(struct inotify_event) char events[16 * 1024];
	ssize_t size = read(fd, events, sizeof events);
	const struct inotify_event *last = NULL, *event;

	for (ssize_t at = 0; at < size; at += sizeof *event + event->len) {
		const char *name, *before;

		event = (const struct inotify_event *)(events + at);
		if (event->mask & IN_IGNORED)
			continue;
		name = event->len ? event->name : "";
		before = last && last->len ? last->name : "";
		if (last && strcmp(name, before) == 0)
			continue;
		last = event;
		memcpy(bytes, name, strlen(name));
		reply(fd, 0, strlen(name));
	}
}

/* Collects what there may be to do. The connection comes last. */
static size_t events_of_all(struct pollfd **events)
{
	static size_t capacity;
	size_t count = 0;

	if (handle_count + 1 > capacity) {
		capacity = 2 * handle_count + 1;
		*events = realloc(*events, capacity * sizeof **events);
		if (!*events)
			exit(1);
	}
	for (size_t i = 0; i < handle_count; i++)
		if (handles[i].kind == A_WATCH)
			(*events)[count++] = (struct pollfd) { .fd = i, .events = POLLIN };
	(*events)[count++] = (struct pollfd) { .fd = STDIN_FILENO, .events = POLLIN };
	return count;
}

int serve_files(void)
{
	struct rlimit most = { MOST_FILES, MOST_FILES };
	struct pollfd *events = NULL;

	/* Modes are what the owner says. */
	umask(0);
	/* Without it there are fewer. */
	setrlimit(RLIMIT_NOFILE, &most);
	signal(SIGPIPE, SIG_IGN);
	fcntl(STDIN_FILENO, F_SETFL, 0);
	answer = malloc(sizeof *answer + PIECE);
	if (!answer) {
		/* As start_file_server(), for the first request. */
		write(STDIN_FILENO, &(struct answer) { .watch = NO_SERVER, .error = ENOMEM }, sizeof *answer);
		return 1;
	}
	bytes = (char *)(answer + 1);
	for (;;) {
		size_t count = events_of_all(&events);

		if (poll(events, count, -1) < 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (events[i].revents && events[i].fd != STDIN_FILENO)
				tell_changes(events[i].fd);
		if (events[count - 1].revents)
			serve_request();
	}
}
