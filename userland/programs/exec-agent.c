// SPDX-License-Identifier: MIT
// Runs commands for the machine's owner over virtio-console ports (docs/exec.md).
//
// The command gets the ports themselves as its descriptors 0, 1 and 2: nothing
// copies in between and no shell interprets anything. The ports stay open from
// one command to the next, because a port can be opened only once and a process
// that a command left behind may still hold it. When the host closes the command
// port, the machine is powered off. Signals for the command that runs come on a
// port of their own.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"
#define PREFIX "auklet.exec."

/* Most bytes of a command: what execve takes, so a longer one could not run. */
#define COMMAND_LIMIT (2 * 1024 * 1024)

enum { COMMAND, STDIN, STDOUT, STDERR, STATUS, SIGNALS, PORT_COUNT };
static const char *const port_names[PORT_COUNT] = { "command", "stdin", "stdout", "stderr", "status", "signals" };
static int ports[PORT_COUNT] = { -1, -1, -1, -1, -1, -1 };

static void fail(const char *what)
{
	fprintf(stderr, "exec-agent: %s: %s\n", what, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	exit(1);
}

/* Opens the ports that exist by now and are not open yet. */
static int open_ports(void)
{
	int open_count = 0;
	DIR *directory = opendir(PORTS);
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		char path[300], name[64] = "";
		snprintf(path, sizeof path, PORTS "/%s/name", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) continue;
		ssize_t n = read(fd, name, sizeof name - 1);
		close(fd);
		if (n <= 0 || strncmp(name, PREFIX, strlen(PREFIX)) != 0) continue;
		name[strcspn(name, "\n")] = 0;
		for (int i = 0; i < PORT_COUNT; i++) {
			if (ports[i] >= 0 || strcmp(name + strlen(PREFIX), port_names[i]) != 0) continue;
			snprintf(path, sizeof path, "/dev/%s", entry->d_name);
			/* 0 to 2 are taken, so that no port is one of them */
			ports[i] = open(path, (i == COMMAND || i == STDIN || i == SIGNALS ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
		}
	}
	if (directory) closedir(directory);
	for (int i = 0; i < PORT_COUNT; i++) open_count += ports[i] >= 0;
	return open_count;
}

/* The driver adds ports while it talks to the host, so some may still be missing. */
static void wait_for_ports(void)
{
	if (open_ports() == PORT_COUNT) return;
	int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	if (events < 0 || bind(events, (struct sockaddr *)&address, sizeof address) != 0) fail("kernel events");
	/* looked at once more after listening has begun: none is missed */
	while (open_ports() != PORT_COUNT) {
		char event[4096];
		if (recv(events, event, sizeof event, 0) < 0 && errno != EINTR && errno != ENOBUFS) fail("kernel events");
	}
	close(events);
}

static char *message;
static size_t have, used;
static char *no_environment[] = { NULL };

/* One more byte of the command; the end of the command port is the end of the machine. */
static char next_byte(void)
{
	static size_t capacity;
	if (used == have) {
		if (have == capacity) {
			capacity = capacity ? capacity * 2 : 65536;
			if (capacity > 2 * COMMAND_LIMIT) {
				errno = E2BIG;
				fail("command");
			}
			message = realloc(message, capacity);
			if (!message) fail("command");
		}
		ssize_t n;
		do n = read(ports[COMMAND], message + have, capacity - have);
		while (n < 0 && errno == EINTR);
		if (n < 0) fail("command");
		if (n == 0) {
			sync();
			reboot(RB_POWER_OFF);
			fail("power off");
		}
		have += n;
	}
	return message[used++];
}

static size_t read_count(void)
{
	size_t count = 0;
	for (char c; (c = next_byte()) != '\n';) {
		if (c < '0' || c > '9' || count > COMMAND_LIMIT) {
			errno = EINVAL;
			fail("command");
		}
		count = count * 10 + (c - '0');
	}
	return count;
}

/* Strings are kept as offsets while the message may still move. */
static size_t *read_strings(size_t count)
{
	size_t *offsets = calloc(count + 1, sizeof *offsets);
	if (!offsets) fail("command");
	for (size_t i = 0; i < count; i++) {
		offsets[i] = used;
		while (next_byte() != 0) { }
	}
	return offsets;
}

static char **to_pointers(size_t *offsets, size_t count)
{
	/* same size on this architecture, so the array is converted in place */
	_Static_assert(sizeof(size_t) == sizeof(char *), "32 bit");
	char **pointers = (char **)offsets;
	for (size_t i = 0; i < count; i++) pointers[i] = message + offsets[i];
	pointers[count] = NULL;
	return pointers;
}

static void complain(const char *name, int error)
{
	dprintf(ports[STDERR], "%s: %s\n", name, error == ENOENT ? "not found" : strerror(error));
}

/* The command's environment has the machine's time zone (the kernel's command line), if it names none. */
static char **with_time_zone(char **environment, size_t count)
{
	static char *zone;
	static int looked;
	if (!looked) {
		const char *value = getenv("TZ");
		if (value && asprintf(&zone, "TZ=%s", value) < 0) fail("command");
		looked = 1;
	}
	if (!zone) return environment;
	for (size_t i = 0; i < count; i++)
		if (strncmp(environment[i], "TZ=", 3) == 0) return environment;
	char **longer = realloc(environment, (count + 2) * sizeof *longer);
	if (!longer) fail("command");
	longer[count] = zone;
	longer[count + 1] = NULL;
	return longer;
}

/* Reads decimal digits up to @end; -1 if there are others, or none, or too many. */
static long read_number(const char *text, const char *end)
{
	long value = 0;
	if (text == end || end - text > 9) return -1;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9') return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

/*
 * One line of the signal port, "COMMAND SIGNAL". The owner counts its commands from 1 as we do: a signal that comes after the
 * end of its command is not the next one's.
 */
static void take_signal(const char *line, const char *end, long command, pid_t leader)
{
	const char *space = memchr(line, ' ', end - line);
	long number = space ? read_number(line, space) : -1;
	long signal = space ? read_number(space + 1, end) : -1;
	if (number < 1 || number > command || signal < 1 || signal >= NSIG)
		fprintf(stderr, "exec-agent: signals: a wrong line was dropped\n");
	else if (number == command)
		kill(-leader, signal);
}

/* Takes the signals that have come, for the process group of @leader. False: no more will come. */
static int take_signals(long command, pid_t leader)
{
	static char lines[256];
	static size_t length;
	ssize_t n = read(ports[SIGNALS], lines + length, sizeof lines - length);
	if (n < 0) return errno == EINTR || errno == EAGAIN;
	if (n == 0) return 0;
	length += n;
	char *start = lines, *newline;
	while ((newline = memchr(start, '\n', length - (start - lines)))) {
		take_signal(start, newline, command, leader);
		start = newline + 1;
	}
	length -= start - lines;
	memmove(lines, start, length);
	/* No line is as long: without this, nothing could be read any more. */
	if (length == sizeof lines) length = 0;
	return 1;
}

/* Waits until @child has ended, and hands it the signals that come for it. */
static void attend(pid_t child, long command)
{
	struct pollfd events[] = { { .events = POLLIN }, { .fd = ports[SIGNALS], .events = POLLIN } };
	events[0].fd = syscall(SYS_pidfd_open, child, 0);
	if (events[0].fd < 0) fail("pidfd_open");
	do {
		if (poll(events, 2, -1) < 0) {
			if (errno != EINTR) fail("poll");
			continue;
		}
		/* A port that the owner has closed is ready for ever. */
		if (events[1].revents && !take_signals(command, child)) events[1].fd = -1;
	} while (!events[0].revents);
	close(events[0].fd);
}

static int run(char **arguments, const char *directory, char **environment, long command)
{
	if (chdir(directory) != 0) {
		complain(directory, errno);
		return 126;
	}
	environ = environment;	/* its PATH is searched */

	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ports[STDIN], 0);
	posix_spawn_file_actions_adddup2(&actions, ports[STDOUT], 1);
	posix_spawn_file_actions_adddup2(&actions, ports[STDERR], 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);

	pid_t child;
	int status, error = arguments[0] ? posix_spawnp(&child, arguments[0], &actions, &attributes, arguments, environment) : EINVAL;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error) {
		complain(arguments[0] ? arguments[0] : "command", error);
		return error == ENOENT || error == ENOTDIR ? 127 : 126;
	}
	attend(child, command);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR) fail("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Input that the command did not want is not the next one's. */
static void drop_input(void)
{
	char unread[4096];
	struct pollfd p = { .fd = ports[STDIN], .events = POLLIN };
	while (poll(&p, 1, 0) == 1 && (p.revents & POLLIN) && read(ports[STDIN], unread, sizeof unread) > 0) { }
}

int main(void)
{
	wait_for_ports();
	for (long command = 1;; command++) {
		if (have > used) memmove(message, message + used, have - used);
		have -= used;
		used = 0;
		size_t argument_count = read_count();
		size_t *arguments = read_strings(argument_count);
		size_t *directory = read_strings(1);
		size_t environment_count = read_count();
		size_t *environment = read_strings(environment_count);

		char **words = to_pointers(arguments, argument_count);
		char **variables = with_time_zone(to_pointers(environment, environment_count), environment_count);
		int status = run(words, message + directory[0], variables, command);
		environ = no_environment;
		free(arguments);
		free(directory);
		free(variables);
		drop_input();
		sync();
		dprintf(ports[STATUS], "%d\n", status);
	}
}
