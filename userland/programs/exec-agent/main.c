// SPDX-License-Identifier: MIT
// Runs commands for the machine's owner, any number at once, over sockets
// of AF_VSOCK (docs/exec.md).
//
// A command has a connection of its own, and one for each of its standard
// streams. The command itself gets pipes, because a program may open
// /dev/stdout again, which is impossible for a socket. splice() moves the bytes
// between pipes and sockets. No shell interprets anything. One loop serves all
// commands. Files of the guest have servers of their own (files.c).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"
#include "files.h"

/*
 * The agent listens on this port. The owner listens on the same port of its
 * own, to learn that the agent does.
 */
#define AGENT_PORT 1

struct connection *connections;
int out_of_descriptors;
int nowhere;
char *zone;
/* Whether the machine has a login, too, and does not end with the agent. */
static int beside_login;

void fail(const char *what)
{
	fprintf(stderr, "exec-agent: %s: %s\n", what, strerror(errno));
	if (beside_login)
		exit(1);
	sync();
	reboot(RB_POWER_OFF);
	exit(1);
}

/* Does what can be done for a connection now. Returns 0 if it is over. */
static int serve(struct connection *c)
{
	if (c->state == GREETS && take_command(c) < 0)
		return 0;
	if (c->state == FILES)
		return !is_ready(c->leader_fd, POLLIN) || waitpid(c->leader, NULL, 0) != c->leader;
	/*
	 * A command takes the descriptors of its streams when it starts. The
	 * owner may leave before. poll() does not tell, so each round looks.
	 */
	if (c->state == STREAM || c->state == COMMAND)
		return c->fd >= 0 && !is_cut_off(c);
	if (c->state < RUNS)
		return 1;
	if (c->state == RUNS && c->fd >= 0)
		take_signals(c);
	for (int i = 0; i < STREAMS; i++)
		move(&c->relay[i]);
	if (c->state == RUNS && is_ready(c->leader_fd, POLLIN)) {
		take_end(c);
		for (int i = 0; i < STREAMS; i++)
			move(&c->relay[i]);
	}
	if (c->state == DRAINS && is_drained(&c->relay[STDOUT]) && is_drained(&c->relay[STDERR]))
		tell_end(c);
	return c->state != LEFT || c->relay[STDOUT].from >= 0 || c->relay[STDERR].from >= 0;
}

/*
 * Runs the commands whose streams have all come. A stream may be served after
 * its command, so this runs after all connections were served. Returns 1 if it
 * ran a command.
 */
static int run_complete(void)
{
	int any = 0;

	for (struct connection *c = connections; c; c = c->next)
		if (c->state == COMMAND && streams_are_here(c)) {
			run(c);
			any = 1;
		}
	return any;
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct connection *c;

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		c = fd < 0 ? NULL : calloc(1, sizeof *c);
		if (!c) {
			close_fd(&fd);
			out_of_descriptors = 1;
			return;
		}
		c->fd = fd;
		c->leader_fd = -1;
		for (int i = 0; i < STREAMS; i++)
			c->relay[i].from = c->relay[i].to = -1;
		c->next = connections;
		connections = c;
	}
}

static void drop(struct connection **place)
{
	struct connection *c = *place;

	*place = c->next;
	close_fd(&c->fd);
	close_fd(&c->leader_fd);
	for (int i = 0; i < STREAMS; i++) {
		close_fd(&c->relay[i].from);
		close_fd(&c->relay[i].to);
	}
	free(c->strings);
	free(c);
}

static void watch(struct pollfd **at, int fd, short events)
{
	if (fd >= 0)
		*(*at)++ = (struct pollfd) { .fd = fd, .events = events };
}

/* Collects what each connection waits for. Returns the number of entries. */
static size_t events_of_all(int listener, struct pollfd **events)
{
	static size_t capacity;
	size_t needed = 1;
	struct pollfd *at;

	for (struct connection *c = connections; c; c = c->next)
		needed += 2 + STREAMS;
	if (needed > capacity) {
		capacity = needed * 2;
		*events = realloc(*events, capacity * sizeof **events);
		if (!*events)
			fail("memory");
	}
	at = *events;
	if (!out_of_descriptors)
		watch(&at, listener, POLLIN);
	for (struct connection *c = connections; c; c = c->next) {
		/*
		 * Nothing is read from a command that waits for its streams. A
		 * relay reads from a stream.
		 */
		if (c->state == GREETS || c->state == RUNS)
			watch(&at, c->fd, POLLIN);
		watch(&at, c->leader_fd, POLLIN);
		for (int i = 0; i < STREAMS; i++) {
			const struct relay *relay = &c->relay[i];

			watch(&at, relay->full ? relay->to : relay->from, relay->full ? POLLOUT : POLLIN);
			/*
			 * The reader may go away while there is nothing to
			 * move. poll() tells that without being asked for it.
			 */
			if (!relay->full && i == STDIN)
				watch(&at, relay->to, 0);
		}
	}
	return at - *events;
}

static int listen_on_port(void)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = AGENT_PORT, .svm_cid = VMADDR_CID_ANY };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0)
		fail("vsock");
	return fd;
}

/* Connects to the owner, who learns by this that the agent listens. */
static void tell_owner(void)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = AGENT_PORT, .svm_cid = VMADDR_CID_HOST };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail("the machine's owner");
	close(fd);
}

int main(int argc, char **argv)
{
	struct pollfd *events = NULL;
	const char *value = getenv("TZ");
	int listener, again = 0;

	if (argc > 1 && strcmp(argv[1], FILES_WORD) == 0)
		return serve_files();
	beside_login = argc > 1 && strcmp(argv[1], "beside") == 0;
	if (value && asprintf(&zone, "TZ=%s", value) < 0)
		fail("memory");
	signal(SIGPIPE, SIG_IGN);
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere < 0)
		fail("/dev/null");
	listener = listen_on_port();
	tell_owner();
	for (;;) {
		size_t count = events_of_all(listener, &events);

		/*
		 * The whole machine may have too few descriptors or too little
		 * memory. Other processes free both without telling the agent.
		 */
		if (poll(events, count, again ? 0 : out_of_descriptors ? 1000 : -1) < 0 && errno != EINTR)
			fail("poll");
		accept_all(listener);
		for (struct connection **place = &connections; *place;)
			if (serve(*place))
				place = &(*place)->next;
			else
				drop(place);
		again = run_complete();
	}
}
