// SPDX-License-Identifier: MIT
// Runs commands for the machine's owner, any number at once, over sockets
// of AF_VSOCK (docs/exec.md).
//
// A command has a connection of its own, and one for each of its standard
// streams. The command itself gets pipes: a program may open /dev/stdout
// again, which a socket does not allow. splice() moves the bytes between the
// two; no shell interprets anything. One loop serves all commands.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the agent listens, and where the owner does to learn that. */
#define AGENT_PORT 1

/* What execve takes, so a longer command could not run. */
#define COMMAND_LIMIT (2 * 1024 * 1024)

/* As much as a pipe holds. */
#define SPLICE_SIZE 65536

/* So often for one stream, before the others have their turn. */
#define MOST_SPLICES 4

enum { STDIN, STDOUT, STDERR, STREAMS };

/* What the owner sends first on a connection: the number of a stream, or 0 for a command with this behind it. */
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

/* A connection and what has come of its greeting, its command and its signals. */
struct connection {
	struct connection *next;
	int fd;
	uint32_t number;	/* of a stream; 0: a command, or not known yet */
	size_t have;		/* bytes of number, then header and strings */
	struct header header;
	char *strings;
	enum { GREETS, STREAM, COMMAND, RUNS, DRAINS, LEFT } state;
	pid_t leader;
	int leader_fd;
	int status;
	struct relay relay[STREAMS];
};

static struct connection *connections;
static int out_of_descriptors;	/* or of memory: nothing is accepted until something was closed */
static int nowhere;		/* /dev/null */
static char *zone;

static void fail(const char *what)
{
	fprintf(stderr, "exec-agent: %s: %s\n", what, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	exit(1);
}

static int is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0 && *fd != nowhere) {
		close(*fd);
		out_of_descriptors = 0;
	}
	*fd = -1;
}

/* Reads towards @size bytes of @to. 1: they are there; 0: not yet; -1: they will not come. */
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

static struct connection *find_stream(uint32_t number)
{
	for (struct connection *c = connections; c; c = c->next)
		if (c->state == STREAM && c->number == number && c->fd >= 0)
			return c;
	return NULL;
}

/* Cuts the strings of a command into @count pointers and a NULL; NULL if there are fewer, or other bytes. */
static char **take_strings(char **at, char *end, uint32_t count)
{
	if (count > (uint32_t)(end - *at))
		return NULL;
	/* One more for the time zone. */
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

/* The command's environment has the machine's time zone (the kernel's command line), if it names none. */
static void add_time_zone(char **environment, uint32_t count)
{
	if (!zone)
		return;
	for (uint32_t i = 0; i < count; i++)
		if (strncmp(environment[i], "TZ=", 3) == 0)
			return;
	environment[count] = zone;
}

/* Makes the pipe of a stream: the command's end, or -1. The relay gets the other end and the owner's connection. */
static int make_pipe(struct connection *c, int stream)
{
	struct relay *relay = &c->relay[stream];
	struct connection *owner = c->header.stream[stream] ? find_stream(c->header.stream[stream]) : NULL;
	int ends[2];

	if (!owner)
		return open("/dev/null", (stream == STDIN ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	int ours = stream == STDIN ? ends[1] : ends[0];
	fcntl(ours, F_SETFL, O_NONBLOCK);
	relay->from = stream == STDIN ? owner->fd : ours;
	relay->to = stream == STDIN ? ours : owner->fd;
	/* The connection is the command's now. */
	owner->fd = -1;
	return stream == STDIN ? ends[0] : ends[1];
}

/* Into a pipe that nobody reads before this returns: the message must fit. */
static void complain(int fd, const char *name, int error)
{
	dprintf(fd, "%.1024s: %s\n", name, error == ENOENT ? "not found" : strerror(error));
}

static int start(struct connection *c, char **arguments, const char *directory, char **environment, const int ends[])
{
	static char *no_environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int error;

	if (!arguments[0])
		return EINVAL;
	if (chdir(directory) != 0) {
		complain(ends[STDERR], directory, errno);
		return -1;
	}
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < STREAMS; i++)
		posix_spawn_file_actions_adddup2(&actions, ends[i], i);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	environ = environment;	/* its PATH is searched */
	error = posix_spawnp(&c->leader, arguments[0], &actions, &attributes, arguments, environment);
	environ = no_environment;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (chdir("/") != 0)
		fail("/");
	if (error)
		return error;
	c->leader_fd = syscall(SYS_pidfd_open, c->leader, 0);
	if (c->leader_fd < 0)
		fail("pidfd_open");
	return 0;
}

/* The command has ended. What is in its pipes now is its output; processes that it has left behind may write more. */
static void begin_to_drain(struct connection *c)
{
	for (int i = STDOUT; i < STREAMS; i++) {
		struct relay *relay = &c->relay[i];
		int waiting = 0;

		if (relay->from >= 0)
			ioctl(relay->from, FIONREAD, &waiting);
		relay->last = relay->moved + waiting;
	}
	c->state = DRAINS;
}

/* All of a command is here, and its streams. */
static void run(struct connection *c)
{
	char *at = c->strings, *end = c->strings + c->header.length, *directory;
	char **arguments = take_strings(&at, end, c->header.arguments);
	char **place = take_strings(&at, end, 1);
	char **environment = take_strings(&at, end, c->header.variables);
	int ends[STREAMS], error = EINVAL;

	for (int i = 0; i < STREAMS; i++)
		ends[i] = make_pipe(c, i);
	if (ends[STDIN] < 0 || ends[STDOUT] < 0 || ends[STDERR] < 0) {
		error = errno;
	} else if (arguments && place && environment && at == end) {
		directory = place[0];
		add_time_zone(environment, c->header.variables);
		error = start(c, arguments, directory, environment, ends);
	}
	c->state = RUNS;
	if (error) {
		if (error > 0)
			complain(ends[STDERR], arguments && arguments[0] ? arguments[0] : "command", error);
		c->status = error == ENOENT || error == ENOTDIR ? 127 : 126;
		begin_to_drain(c);
	}
	for (int i = 0; i < STREAMS; i++)
		close_fd(&ends[i]);
	free(arguments);
	free(place);
	free(environment);
	free(c->strings);
	c->strings = NULL;
}

static int streams_are_here(const struct connection *c)
{
	for (int i = 0; i < STREAMS; i++)
		if (c->header.stream[i] && !find_stream(c->header.stream[i]))
			return 0;
	return 1;
}

/* Takes what has come of a greeting and a command. -1: the owner has gone, or sends what is neither. */
static int take_command(struct connection *c)
{
	int got = read_part(c, &c->number, 0, sizeof c->number);

	if (got <= 0)
		return got;
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

/* Each byte is a signal for the command's process group. */
static void take_signals(struct connection *c)
{
	unsigned char signals[64];
	ssize_t n = read(c->fd, signals, sizeof signals);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* Who ends the connection wants neither the command nor its status. */
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

/* Moves some of what can be moved now; poll() tells of the rest. */
static void move(struct relay *relay)
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
			/* It does not say which of the two is not ready. */
			relay->full = is_ready(relay->from, POLLIN);
			return;
		}
		/* The end, or nobody reads any more. */
		close_fd(&relay->from);
		close_fd(&relay->to);
	}
}

/* The command has ended: true if all that it wrote is on its way. */
static int is_drained(const struct relay *relay)
{
	return relay->from < 0 || relay->moved >= relay->last;
}

static void take_end(struct connection *c)
{
	int status;

	if (waitpid(c->leader, &status, 0) != c->leader)
		fail("waitpid");
	c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	close_fd(&c->leader_fd);
	begin_to_drain(c);
}

/*
 * Tells the status, and ends the streams. Processes that the command has left
 * behind still have their pipes: what they write goes nowhere.
 */
static void tell_end(struct connection *c)
{
	sync();
	if (c->fd >= 0)
		dprintf(c->fd, "%d\n", c->status);
	close_fd(&c->fd);
	close_fd(&c->relay[STDIN].from);
	close_fd(&c->relay[STDIN].to);
	for (int i = STDOUT; i < STREAMS; i++) {
		struct relay *relay = &c->relay[i];

		close_fd(&relay->to);
		relay->full = 0;
		if (relay->from >= 0)
			relay->to = nowhere;
	}
	c->state = LEFT;
}

/*
 * Whether the owner has cut the connection off. vsock's poll() does not tell,
 * and an end of what the owner sends is none: to write nothing fails then.
 */
static int is_cut_off(const struct connection *c)
{
	return send(c->fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EINTR;
}

/* Does what can be done for a connection. False: it is over. */
static int serve(struct connection *c)
{
	if (c->state == GREETS && take_command(c) < 0)
		return 0;
	/* A stream's descriptor is taken by its command, if that comes. Nothing tells if not: each round looks. */
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
 * Runs the commands whose streams have come. These may come later, whoever is
 * served first, so this follows when all were. True if there was one.
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

/* What each connection waits for; returns how many. */
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
		/* A stream is read by its command, and a command that waits for streams not at all. */
		if (c->state == GREETS || c->state == RUNS)
			watch(&at, c->fd, POLLIN);
		watch(&at, c->leader_fd, POLLIN);
		for (int i = 0; i < STREAMS; i++) {
			const struct relay *relay = &c->relay[i];

			watch(&at, relay->full ? relay->to : relay->from, relay->full ? POLLOUT : POLLIN);
			/* Who reads may go away while there is nothing to move. */
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

/* A connection that the owner accepts says that the agent listens. */
static void tell_owner(void)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = AGENT_PORT, .svm_cid = VMADDR_CID_HOST };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail("the machine's owner");
	close(fd);
}

int main(void)
{
	struct pollfd *events = NULL;
	const char *value = getenv("TZ");
	int listener, again = 0;

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

		/* What the whole machine has too little of is freed by others, who do not tell. */
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
