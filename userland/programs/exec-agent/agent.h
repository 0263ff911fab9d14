/* SPDX-License-Identifier: MIT */
/* What the parts of the exec agent share: its connections, and its relays. */
#ifndef AGENT_H
#define AGENT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STDIN, STDOUT, STDERR, STREAMS };

/*
 * The owner first sends a number on each connection. On a stream it is the
 * stream's number. For a command it is 0, and the header below follows. If it
 * is this one, a process of its own serves the connection (files.c).
 */
#define FILES_NUMBER 0xffffffff
/* What that process gets as its argument. */
#define FILES_WORD "files"

struct header {
	uint32_t length;		/* bytes of the strings */
	uint32_t stream[STREAMS];	/* numbers of streams; 0 for /dev/null */
	uint32_t arguments;
	uint32_t variables;
};

/* Bytes on their way from one descriptor to another. */
struct relay {
	int from, to;		/* -1: closed */
	int full;		/* @to took nothing the last time */
	uint64_t moved;
	uint64_t last;		/* where the output of the command itself ends */
};

/* A connection, and what has come on it of its greeting or its command. */
struct connection {
	struct connection *next;
	int fd;
	uint32_t number;	/* of a stream; 0: a command, or not known yet */
	size_t have;		/* bytes that came of number, header, strings */
	struct header header;
	char *strings;
	enum { GREETS, STREAM, COMMAND, RUNS, DRAINS, LEFT, FILES } state;
	pid_t leader;		/* of a command; or the file server */
	int leader_fd;
	int status;
	struct relay relay[STREAMS];
};

/* ---- main.c ---- */

extern struct connection *connections;
/* The agent ran out of descriptors or memory, and has closed nothing since. */
extern int out_of_descriptors;
extern int nowhere;		/* /dev/null */
/* "TZ=..." for commands that do not set TZ; NULL if the machine has no zone. */
extern char *zone;
/* Says what failed, and turns the machine off if it has no login. */
void fail(const char *what);

/* ---- relay.c ---- */

int is_ready(int fd, short events);
void close_fd(int *fd);
void move(struct relay *relay);
int is_drained(const struct relay *relay);

/* ---- protocol.c ---- */

struct connection *find_stream(uint32_t number);
char **take_strings(char **at, char *end, uint32_t count);
int streams_are_here(const struct connection *c);
int take_command(struct connection *c);
void take_signals(struct connection *c);
int is_cut_off(const struct connection *c);

/* ---- command.c ---- */

void run(struct connection *c);
int start_file_server(struct connection *c);
void take_end(struct connection *c);
void tell_end(struct connection *c);

#endif
