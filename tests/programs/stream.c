/* SPDX-License-Identifier: MIT */
/*
 * Sends or receives bytes by TCP, as fast as it can, for measurements:
 *   stream receive PORT
 *   stream send ADDRESS PORT MEBIBYTES
 * The receiver ends with the connection. Both say how many bytes there were,
 * and in which time.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[256 * 1024];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int receive(const char *port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };
	int listener = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) fail("listen");
	puts("listening");
	fflush(stdout);
	int fd = accept(listener, NULL, NULL);
	if (fd < 0) fail("accept");
	long long bytes = 0;
	double start = 0;
	for (;;) {
		ssize_t count = read(fd, buffer, sizeof buffer);
		if (count < 0) fail("read");
		if (bytes == 0) start = now();
		if (count == 0) break;
		bytes += count;
	}
	double time = now() - start;
	printf("received %lld bytes in %.3f s: %.0f MB/s\n", bytes, time, bytes / time / 1e6);
	return 0;
}

static int send_all(const char *host, const char *port, long long bytes)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	if (getaddrinfo(host, port, &hints, &found)) fail(host);
	int fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) fail("connect");
	for (size_t i = 0; i < sizeof buffer; i++) buffer[i] = (char)(i * 7);
	double start = now();
	for (long long left = bytes; left > 0;) {
		ssize_t count = write(fd, buffer, left < (long long)sizeof buffer ? (size_t)left : sizeof buffer);
		if (count < 0) fail("write");
		left -= count;
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) != 0) fail("end");
	double time = now() - start;
	printf("sent %lld bytes in %.3f s: %.0f MB/s\n", bytes, time, bytes / time / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "receive")) return receive(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "send")) return send_all(argv[2], argv[3], atoll(argv[4]) << 20);
	fputs("usage: stream receive PORT | stream send ADDRESS PORT MEBIBYTES\n", stderr);
	return 2;
}
