// SPDX-License-Identifier: MIT
// Files between the visitor of a page and the guest (docs/transfers.md).
//
//   download FILE...      gives files to the machine's owner
//   transfer give FILE    the same over standard output, for the console's user
//   transfer take         takes files from standard input, for that user
//   transfer where        prints where that user is
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "transfer.h"

const char *program = "transfer";

void complain(const char *name, const char *text)
{
	if (name)
		fprintf(stderr, "%s: %s: %s\n", program, name, text);
	else
		fprintf(stderr, "%s: %s\n", program, text);
}

const char *reason(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return "no room is left there";
	case EACCES:
	case EPERM:
		return "this user is not allowed to";
	case ENOENT:
		return "there is no such file or folder";
	case EROFS:
		return "nothing can be written there";
	case ENAMETOOLONG:
		return "the name is too long";
	default:
		return strerror(error);
	}
}

int write_all(int fd, const void *bytes, size_t count)
{
	const char *at = bytes;

	while (count > 0) {
		ssize_t n = write(fd, at, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return 0;
		at += n;
		count -= n;
	}
	return 1;
}

static int where(void)
{
	char path[4096];

	if (!getcwd(path, sizeof path)) {
		complain("the working directory", reason(errno));
		return 1;
	}
	return puts(path) < 0 || fflush(stdout) != 0;
}

static int usage(const char *text)
{
	fprintf(stderr, "usage: %s\n", text);
	return 2;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *task;

	/* A reader that has gone is an error of write(). */
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(slash ? slash + 1 : argv[0], "download") == 0) {
		program = "download";
		argv++;
		if (*argv && strcmp(*argv, "--") == 0)
			argv++;
		else if (!*argv || (**argv == '-' && argv[0][1]))
			return usage("download FILE...\n"
				     "Gives files to the page; a folder as a tar.");
		return download(argv);
	}
	task = argc > 1 ? argv[1] : "";
	if (!enter_console())
		return 1;
	if (strcmp(task, "where") == 0 && argc == 2)
		return where();
	if (strcmp(task, "take") == 0 && argc == 2)
		return take();
	if (strcmp(task, "give") == 0 && argc == 3)
		return give(argv[2]);
	return usage("transfer where | take | give FILE");
}
