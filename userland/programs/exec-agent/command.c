// SPDX-License-Identifier: MIT
// A command from its start to the end of its output; and the start of a file
// server.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"
#include "files.h"

/*
 * Adds the machine's time zone (from the kernel's command line) to a command's
 * environment, unless that names a zone itself.
 */
static void add_time_zone(char **environment, uint32_t count)
{
	if (!zone)
		return;
	for (uint32_t i = 0; i < count; i++)
		if (strncmp(environment[i], "TZ=", 3) == 0)
			return;
	environment[count] = zone;
}

/*
 * Makes the pipe of a stream. The relay gets one end, and the owner's
 * connection. Returns the command's end, or -1. Without a connection there is
 * no pipe, and the command gets /dev/null.
 */
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
	/* The descriptor of the connection belongs to the command now. */
	owner->fd = -1;
	return stream == STDIN ? ends[0] : ends[1];
}

/*
 * Writes why a command did not start, as the command's own message. Nobody
 * reads the pipe before this returns, so the message must fit into it.
 */
static void complain(int fd, const char *name, int error)
{
	dprintf(fd, "%.1024s: %s\n", name, error == ENOENT ? "not found" : strerror(error));
}

static void watch_leader(struct connection *c)
{
	c->leader_fd = syscall(SYS_pidfd_open, c->leader, 0);
	if (c->leader_fd < 0)
		fail("pidfd_open");
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
	environ = environment;	/* posix_spawnp() searches its PATH */
	error = posix_spawnp(&c->leader, arguments[0], &actions, &attributes, arguments, environment);
	environ = no_environment;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (chdir("/") != 0)
		fail("/");
	if (error)
		return error;
	watch_leader(c);
	return 0;
}

/*
 * Called when the command has ended. Its output is what is in its pipes now.
 * Processes that it has left behind may write more, which does not count.
 */
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

/* Starts a command. All of it has come, and so have its streams. */
void run(struct connection *c)
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

/*
 * Gives the connection to a file server. If there can be none, the answer to
 * the owner's first request says why, and the result is -1.
 */
int start_file_server(struct connection *c)
{
	static char *const words[] = { "exec-agent", FILES_WORD, NULL };
	struct answer answer = { .watch = NO_SERVER };
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, c->fd, STDIN_FILENO);
	answer.error = posix_spawn(&c->leader, "/sbin/exec-agent", &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (answer.error) {
		send(c->fd, &answer, sizeof answer, MSG_NOSIGNAL);
		return -1;
	}
	close_fd(&c->fd);
	watch_leader(c);
	c->state = FILES;
	return 0;
}

void take_end(struct connection *c)
{
	int status;

	if (waitpid(c->leader, &status, 0) != c->leader)
		fail("waitpid");
	c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	close_fd(&c->leader_fd);
	begin_to_drain(c);
}

/*
 * Tells the owner the status, and ends the streams. Processes that the command
 * has left behind still have their pipes, so the agent goes on to read those,
 * and drops what it reads.
 */
void tell_end(struct connection *c)
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
