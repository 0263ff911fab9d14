/* SPDX-License-Identifier: MIT */
/* What the parts of the file server share (docs/exec.md, "Files"). */
#ifndef FILES_H
#define FILES_H
#include <stddef.h>
#include <stdint.h>

/* The most bytes that follow a request or an answer: a piece of a file. */
#define PIECE (1024 * 1024)

enum operation {
	STATUS = 1,
	OPEN,
	OPEN_FOLDER,
	WATCH,
	READ,
	WRITE,
	ENTRIES,
	CLOSE,
	MAKE_FOLDER,
	RENAME,
	REMOVE,
};

/* Flags of a request. */
enum { TO_WRITE = 1 };			/* OPEN */
enum { RECURSIVE = 1, FORCE = 2 };	/* MAKE_FOLDER, REMOVE */

struct request {
	uint32_t operation;
	uint32_t length;	/* bytes that follow: paths, each with NUL, or content */
	uint32_t handle;
	uint32_t flags;
	uint32_t argument;	/* permission bits, or the most bytes to read */
};

/* In the place of a watch: there is no server, and the error says why. */
#define NO_SERVER UINT32_MAX

struct answer {
	uint32_t watch;		/* the handle of a watch whose change this tells; or 0 */
	uint32_t error;		/* Linux's number, and then nothing follows; or 0 */
	uint32_t length;	/* bytes that follow */
};

struct status {
	uint32_t mode;
	uint32_t links;
	uint32_t user;
	uint32_t group;
	uint64_t size;
	int64_t seconds;	/* of the last modification, since 1970 */
	uint32_t nanoseconds;
	uint32_t unused;
};

/* ---- files.c ---- */

/* Serves the connection that is standard input until the owner ends it. */
int serve_files(void);

/*
 * ---- file-operations.c ----
 * These return 0 or Linux's number of an error.
 */

int get_status(const char *path, struct status *status);
/* Fails if there is a thing that is no regular file. */
int check_file(const char *path);
int make_folder(char *path, uint32_t mode, uint32_t flags);
int remove_path(const char *path, uint32_t flags);

#endif
