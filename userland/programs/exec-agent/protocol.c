// SPDX-License-Identifier: MIT
// What comes on a connection: the greeting, a command with its strings,
// signals, and the end (docs/exec.md).
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent.h"

/* execve() takes no more, so a longer command could not run. */
#define COMMAND_LIMIT (2 * 1024 * 1024)

/*
 * Reads more of @to, whose @size bytes begin at @offset of the connection.
 * Returns 1 if all have come, 0 if some are missing yet, and -1 if they will
 * not come.
 */
static int read_part(struct connection *c, void *to, size_t offset, size_t size)
{
	while (c->have < offset + size) {
		ssize_t n = read(c->fd, (char *)to + (c->have - offset), offset + size - c->have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -1;
		c->have += n;
	}
	return 1;
}

struct connection *find_stream(uint32_t number)
{
	for (struct connection *c = connections; c; c = c->next)
		if (c->state == STREAM && c->number == number && c->fd >= 0)
			return c;
	return NULL;
}

/*
 * Takes @count strings at *@at, and moves *@at behind them. Returns their
 * addresses and a NULL. Returns NULL if there are fewer strings before @end.
 */
char **take_strings(char **at, char *end, uint32_t count)
{
	if (count > (uint32_t)(end - *at))
		return NULL;
	/* There is room for one more string, the time zone. */
	char **strings = calloc(count + 2, sizeof *strings);
	if (!strings)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		char *zero = memchr(*at, 0, end - *at);

		if (!zero) {
			free(strings);
			return NULL;
		}
		strings[i] = *at;
		*at = zero + 1;
	}
	return strings;
}

int streams_are_here(const struct connection *c)
{
	for (int i = 0; i < STREAMS; i++)
		if (c->header.stream[i] && !find_stream(c->header.stream[i]))
			return 0;
	return 1;
}

/*
 * Takes what has come of a greeting and a command. Returns -1 if the owner has
 * gone, or sends none of what there is.
 */
int take_command(struct connection *c)
{
	int got = read_part(c, &c->number, 0, sizeof c->number);

	if (got <= 0)
		return got;
	if (c->number == FILES_NUMBER)
		return start_file_server(c);
	if (c->number != 0) {
		c->state = STREAM;
		return 0;
	}
	got = read_part(c, &c->header, sizeof c->number, sizeof c->header);
	if (got <= 0)
		return got;
	if (c->header.length > COMMAND_LIMIT) {
		fprintf(stderr, "exec-agent: a command of %u bytes was refused\n", c->header.length);
		return -1;
	}
	if (!c->strings && !(c->strings = malloc(c->header.length + 1)))
		return -1;
	got = read_part(c, c->strings, sizeof c->number + sizeof c->header, c->header.length);
	if (got > 0)
		c->state = COMMAND;
	return got < 0 ? -1 : 0;
}

/* Takes signals for the command's process group. Each byte is one. */
void take_signals(struct connection *c)
{
	unsigned char signals[64];
	ssize_t n = read(c->fd, signals, sizeof signals);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* An owner who ends the connection wants no command and no status. */
	if (n <= 0) {
		kill(-c->leader, SIGKILL);
		close_fd(&c->fd);
	}
	for (ssize_t i = 0; i < n; i++)
		if (signals[i] > 0 && signals[i] < NSIG)
			kill(-c->leader, signals[i]);
		else
			fprintf(stderr, "exec-agent: %d is no signal and was dropped\n", signals[i]);
}

/*
 * Whether the owner has cut the connection off. vsock's poll() does not tell.
 * The end of what the owner sends does not count as that. Writing nothing fails
 * on a connection that was cut off.
 */
int is_cut_off(const struct connection *c)
{
	return send(c->fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EINTR;
}
