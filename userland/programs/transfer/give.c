// SPDX-License-Identifier: MIT
// Gives files to the machine's owner, each over a connection of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transfer.h"

/* The owner takes downloads here. */
#define PORT 2

#define UNKNOWN UINT64_MAX

/* Beside the numbers of errno: a pipe, a socket or a device. */
#define NOTHING_TO_GIVE (-1)

extern char **environ;

/* What comes before the name. Pieces with their lengths follow. */
struct header {
	uint32_t kind;
	uint32_t length;	/* of the name */
	uint64_t size;		/* of the content, as far as that is known */
};

/* A file or folder that is on its way. */
struct source {
	const char *path;	/* as it was asked for */
	char *name;
	enum kind kind;
	uint64_t size;
	int fd;
	pid_t tar;		/* what makes the content; 0 if nothing does */
};

/* ---- Bytes of a tar, about ---- */

static uint64_t total;

static int count_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	total += 512;
	if (S_ISREG(status->st_mode))
		total += (status->st_size + 511) / 512 * 512;
	return 0;
}

/* ---- Sources ---- */

/* Starts tar in the folder around the one that is wanted. */
static int start_tar(struct source *source, const char *above, char *name)
{
	char *words[] = { "tar", "-c", "-f", "-", "-C", (char *)above, "--", name, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t pipe_signal;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	/* A tar that nobody reads from ends without a word. */
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	error = posix_spawnp(&source->tar, "tar", &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	source->fd = ends[0];
	if (error != 0) {
		close(ends[0]);
		source->tar = 0;
	}
	return error;
}

static int open_folder(struct source *source)
{
	char whole[PATH_MAX], above[PATH_MAX], *name;

	/* "." and ".." are no names. */
	if (!realpath(source->path, whole))
		return errno;
	strcpy(above, whole);
	name = basename(whole);
	if (strcmp(name, "/") == 0)
		name = ".";
	if (asprintf(&source->name, "%s.tar", strcmp(name, ".") == 0 ? "root" : name) < 0)
		return ENOMEM;
	source->kind = FOLDER_ENTRY;
	total = 1024;
	source->size = nftw(whole, count_one, 16, FTW_PHYS) == 0 ? total : UNKNOWN;
	return start_tar(source, dirname(above), name);
}

/*
 * Some files of /proc make a reader wait, and so may what was put in its
 * place.
 */
static int open_file(struct source *source)
{
	const char *slash = strrchr(source->path, '/');
	struct stat status;

	source->name = strdup(slash ? slash + 1 : source->path);
	if (!source->name)
		return ENOMEM;
	source->kind = FILE_ENTRY;
	source->fd = open(source->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (source->fd < 0 || fstat(source->fd, &status) != 0)
		return errno;
	if (!S_ISREG(status.st_mode))
		return NOTHING_TO_GIVE;
	/* Files of /proc and /sys do not tell. */
	source->size = status.st_size > 0 ? (uint64_t)status.st_size : UNKNOWN;
	return 0;
}

static int open_source(struct source *source)
{
	struct stat status;
	int error;

	if (stat(source->path, &status) != 0)
		error = errno;
	else if (S_ISDIR(status.st_mode))
		error = open_folder(source);
	else if (S_ISREG(status.st_mode))
		error = open_file(source);
	else
		error = NOTHING_TO_GIVE;
	if (error == NOTHING_TO_GIVE)
		complain(source->path, "this is neither a file nor a folder");
	else if (error != 0)
		complain(source->path, reason(error));
	return error == 0;
}

enum ending { WHOLE, PARTS, BROKEN };

/*
 * Ends what was opened. A tar that has left something out has said what, and
 * the rest is whole.
 */
static enum ending close_source(struct source *source)
{
	int status = 0;

	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	if (source->tar > 0)
		while (waitpid(source->tar, &status, 0) < 0 && errno == EINTR)
			;
	source->tar = 0;
	return status == 0 ? WHOLE : WIFEXITED(status) ? PARTS : BROKEN;
}

/* ---- The way to the owner ---- */

/* Whether the owner has said something before the end, which is "no". */
static int is_answered(int fd)
{
	struct pollfd answer = { .fd = fd, .events = POLLIN };

	return poll(&answer, 1, 0) > 0;
}

/* What has become of a source. */
enum sending { SENT, SENT_PARTS, REFUSED, UNREADABLE };

static enum sending send_content(struct source *source, int to, int answers)
{
	static struct {
		uint32_t length;
		char bytes[PIECE];
	} piece;

	for (;;) {
		ssize_t n = read(source->fd, piece.bytes, sizeof piece.bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain(source->path, errno == EAGAIN ? "this file has no end, only more later" : reason(errno));
			return UNREADABLE;
		}
		if (n == 0)
			return SENT;
		if (answers && is_answered(to))
			return REFUSED;
		piece.length = n;
		if (!write_all(to, &piece, sizeof piece.length + n))
			return REFUSED;
	}
}

static enum sending send_source(struct source *source, int to, int answers)
{
	static const uint32_t end;
	size_t length = strlen(source->name);
	struct header header = { .kind = source->kind, .length = length, .size = source->size };
	enum sending sending;
	enum ending ending;

	if (!write_all(to, &header, sizeof header) || !write_all(to, source->name, length))
		return REFUSED;
	sending = send_content(source, to, answers);
	ending = close_source(source);
	if (sending != SENT)
		return sending;
	if (ending == BROKEN) {
		complain(source->path, "tar was killed");
		return UNREADABLE;
	}
	/* Content without this end is not whole. */
	if (!write_all(to, &end, sizeof end))
		return REFUSED;
	return ending == WHOLE ? SENT : SENT_PARTS;
}

static int connect_owner(void)
{
	struct sockaddr_vm owner = { .svm_family = AF_VSOCK, .svm_port = PORT, .svm_cid = VMADDR_CID_HOST };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&owner, sizeof owner) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	complain(NULL, "nobody takes downloads here");
	return -1;
}

/*
 * Reads what the owner says, "+" or "-" and a text, and prints the text.
 * Returns whether it was "+".
 */
static int take_answer(int fd, const char *path)
{
	/* 200 characters may have 600 bytes. */
	char text[1024];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, text + have, sizeof text - 1 - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += n;
	}
	text[have] = '\0';
	if (have == 0) {
		complain(path, "it was cut off");
		return 0;
	}
	if (text[0] == '+')
		printf("%s: %s\n", path, text + 1);
	else
		complain(path, text + 1);
	return text[0] == '+';
}

/* Returns 0 if it was saved, 1 if not, and -1 if nobody takes it. */
static int download_one(const char *path)
{
	struct source source = { .path = path, .fd = -1 };
	int status = 1;

	if (open_source(&source)) {
		int fd = connect_owner();

		if (fd < 0) {
			status = -1;
		} else {
			enum sending sending = send_source(&source, fd, 1);

			if (sending != UNREADABLE && take_answer(fd, path) && sending == SENT)
				status = 0;
			close(fd);
		}
	}
	close_source(&source);
	free(source.name);
	return status;
}

int download(char **names)
{
	int status = 0;

	for (; *names; names++) {
		int result = download_one(*names);

		if (result != 0)
			status = 1;
		/* There is nobody for the others either. */
		if (result < 0)
			break;
	}
	return fflush(stdout) != 0 || status;
}

int give(const char *path)
{
	struct source source = { .path = path, .fd = -1 };
	enum sending sending = open_source(&source) ? send_source(&source, STDOUT_FILENO, 0) : UNREADABLE;

	close_source(&source);
	free(source.name);
	return sending == SENT ? 0 : 1;
}
