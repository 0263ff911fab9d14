// SPDX-License-Identifier: MIT
// Connections with the machine's owner, for tests/boot/sockets.test.mjs:
//   vsock echo PORT       sends back what it gets, a connection at a time
//   vsock wait PORT       accepts one connection, and reads it when a line comes on standard input
//   vsock send PORT TEXT  connects to the owner, sends the text, prints the answer
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0) return -1;
		bytes += n;
		size -= n;
	}
	return 0;
}

/* Reads to the end, and sends it back if @echo; returns how many bytes, or -1. */
static long long take_all(int fd, int echo)
{
	long long sum = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0) {
		sum += n;
		if (echo && write_all(fd, buffer, n) != 0) return -1;
	}
	return n < 0 ? -1 : sum;
}

int main(int count, char **words)
{
	if (count < 3) return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = strtoul(words[2], NULL, 10) };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0) return fail("socket");

	if (!strcmp(words[1], "send")) {
		address.svm_cid = VMADDR_CID_HOST;
		if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return fail("connect");
		if (write_all(fd, words[3], strlen(words[3])) != 0) return fail("write");
		shutdown(fd, SHUT_WR);
		for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0;) {
			if (n < 0) return fail("read");
			fwrite(buffer, 1, n, stdout);
		}
		return 0;
	}

	address.svm_cid = VMADDR_CID_ANY;
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return fail("bind");
	if (listen(fd, 8) != 0) return fail("listen");
	printf("listening\n");
	int wait = !strcmp(words[1], "wait");
	do {
		socklen_t size = sizeof address;
		int peer = accept(fd, (struct sockaddr *)&address, &size);
		if (peer < 0) return fail("accept");
		printf("peer %u\n", address.svm_cid);
		if (wait) getchar();
		long long sum = take_all(peer, !wait);
		if (sum < 0) printf("%s\n", strerror(errno));
		else printf("%lld bytes\n", sum);
		close(peer);
	} while (!wait);
	return 0;
}
