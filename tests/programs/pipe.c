// SPDX-License-Identifier: MIT
// Pipes: order, end of file, SIGPIPE, poll, and a chain of processes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

int main(void)
{
	int ends[2];
	char buffer[4096];
	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		/* more than a pipe holds, so the writer must wait for the reader */
		for (int i = 0; i < 300000; i++) {
			char c = 'a' + i % 26;
			if (i % 1000 == 0) memset(buffer, 0, sizeof buffer);
			buffer[i % 1000] = c;
			if (i % 1000 == 999 && write(ends[1], buffer, 1000) != 1000) _exit(1);
		}
		_exit(0);
	}
	close(ends[1]);
	long total = 0, wrong = 0, n;
	while ((n = read(ends[0], buffer, sizeof buffer)) > 0)
		for (long i = 0; i < n; i++, total++) wrong += buffer[i] != 'a' + total % 26;
	int status;
	CHECK(n == 0 && waitpid(child, &status, 0) == child && status == 0);
	printf("%ld bytes, %ld wrong\n", total, wrong);
	close(ends[0]);

	/* nobody reads */
	CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERROR(write(ends[1], "x", 1), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	child = fork();
	if (child == 0) {
		write(ends[1], "x", 1);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	close(ends[1]);

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK_ERROR(read(ends[0], buffer, 1), EAGAIN);
	struct pollfd p = { .fd = ends[0], .events = POLLIN };
	CHECK(poll(&p, 1, 0) == 0 && poll(&p, 1, 20) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	close(ends[1]);
	CHECK(poll(&p, 1, -1) == 1 && (p.revents & POLLHUP));
	close(ends[0]);

	/* a ring of eight processes adds one each time around */
	int first[2], in, out;
	CHECK(pipe(first) == 0);
	in = first[0];
	for (int i = 0; i < 8; i++) {
		CHECK(pipe(ends) == 0);
		if (fork() == 0) {
			int value;
			close(first[1]);
			close(ends[0]);
			while (read(in, &value, sizeof value) == sizeof value) {
				value++;
				write(ends[1], &value, sizeof value);
			}
			_exit(0);
		}
		close(in);
		close(ends[1]);
		in = ends[0];
	}
	out = first[1];
	int value = 0;
	for (int i = 0; i < 50; i++)
		CHECK(write(out, &value, sizeof value) == sizeof value && read(in, &value, sizeof value) == sizeof value);
	close(out);
	int ended = 0;
	while (wait(&status) > 0) ended += status == 0;
	printf("ring: %d, %d ended\n", value, ended);
	return failures != 0;
}
