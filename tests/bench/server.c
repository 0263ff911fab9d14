// SPDX-License-Identifier: MIT
// The far side of measurements of the network: "server" prints the port of loopback that it listens at, and "server PORT"
// listens at this port of all addresses. The same program runs in the guest and natively.
//
// Who begins with GET gets an answer of HTTP with as many bytes as the path says ("/1024"), and may ask again. All that
// others send is dropped. A connection ends when its client ends it.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, STACK = 64 << 10 };
static char zeros[BUFFER];

static void must(int done, const char *what)
{
	if (done) return;
	fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t length = send(fd, bytes, size, MSG_NOSIGNAL);
		if (length < 0) return 0;
		bytes += length;
		size -= length;
	}
	return 1;
}

static int answer(int fd, unsigned long long size)
{
	// The head and the first bytes go together, as servers do it.
	char head[1200] = "";
	int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", size);
	size_t first = size < 1024 ? size : 1024;
	if (!send_all(fd, head, length + first)) return 0;
	for (size -= first; size > 0;) {
		size_t part = size < BUFFER ? size : BUFFER;
		if (!send_all(fd, zeros, part)) return 0;
		size -= part;
	}
	return 1;
}

static void *serve(void *argument)
{
	int fd = (int)(long)argument;
	char small[4096];
	size_t used = 0;
	char *sink = NULL;
	for (;;) {
		ssize_t length = sink ? read(fd, sink, BUFFER) : read(fd, small + used, sizeof small - 1 - used);
		if (length <= 0) break;
		if (sink) continue;
		used += length;
		small[used] = '\0';
		if (strncmp(small, "GET /", used < 5 ? used : 5) != 0 || used == sizeof small - 1) {
			sink = malloc(BUFFER);
			continue;
		}
		char *end = strstr(small, "\r\n\r\n");
		if (end && !answer(fd, strtoull(small + 5, NULL, 10))) break;
		if (end) used = 0;
	}
	free(sink);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? atoi(argv[1]) : 0),
		.sin_addr.s_addr = htonl(argc > 1 ? INADDR_ANY : INADDR_LOOPBACK),
	};
	socklen_t size = sizeof address;
	int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener >= 0, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	must(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
	must(listen(listener, 1024) == 0, "listen");
	must(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, STACK);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		must(fd >= 0, "accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		pthread_t thread;
		must(pthread_create(&thread, &small, serve, (void *)(long)fd) == 0, "a thread");
	}
}
