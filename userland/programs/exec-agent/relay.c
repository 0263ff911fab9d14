// SPDX-License-Identifier: MIT
// Moves bytes between the pipes of a command and the connections of its owner.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "agent.h"

/* A pipe holds as much. */
#define SPLICE_SIZE 65536

/* The most splices for one stream before the other streams have their turn. */
#define MOST_SPLICES 4

int is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1;
}

void close_fd(int *fd)
{
	if (*fd >= 0 && *fd != nowhere) {
		close(*fd);
		out_of_descriptors = 0;
	}
	*fd = -1;
}

/* Moves some of what can be moved now. poll() tells that there is more. */
void move(struct relay *relay)
{
	for (int i = 0; i < MOST_SPLICES && relay->from >= 0 && relay->to >= 0; i++) {
		ssize_t n = splice(relay->from, NULL, relay->to, NULL, SPLICE_SIZE, SPLICE_F_NONBLOCK);

		if (n > 0) {
			relay->moved += n;
			relay->full = 0;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			/*
			 * splice() does not say which of the two is not ready.
			 */
			relay->full = is_ready(relay->from, POLLIN);
			return;
		}
		/* All was read, or nobody reads any more. */
		close_fd(&relay->from);
		close_fd(&relay->to);
	}
}

/* Whether the agent has moved all output of a command that has ended. */
int is_drained(const struct relay *relay)
{
	return relay->from < 0 || relay->moved >= relay->last;
}
