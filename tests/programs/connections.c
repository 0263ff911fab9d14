// SPDX-License-Identifier: MIT
// Many connections and flows of datagrams, for tests/boot/network-scale and tests/bench.
//
//   connections many ADDRESS PORT COUNT    opens so many at once, and has each echo a line of its own
//   connections hold ADDRESS PORT COUNT    opens so many, and reads each to its end when a line comes at its input
//   connections pour ADDRESS PORT COUNT    opens so many, and sends 32 MiB of zeros on each of them in turn
//   connections churn ADDRESS PORT COUNT   opens and closes one after the other: "churn NS", a connection
//   connections visit ADDRESS PORT COUNT   the same, but each is closed when the far side has
//   connections call ADDRESS PORT COUNT    the same, but the far side hears of the end first
//   connections refused ADDRESS PORT COUNT the same where nobody listens: "refused NS"
//   connections flows ADDRESS PORT COUNT   sockets of UDP, each of which gets its datagram back, twice
//   connections send ADDRESS PORT MIB      sends zeros until the far side has all: "send NS"
//   connections receive ADDRESS PORT MIB   "receive NS"
//
// A call that fails ends it with status 1 and "CALL NUMBER: ERROR"; what was open is closed then.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, MIB = 1 << 20 };

static struct sockaddr_in far_side = { .sin_family = AF_INET };
static const char *mode;
static int count;
static int sockets[MOST];
static char memory[MIB];

static void check(int good, const char *call, int number)
{
	if (good) return;
	printf("%s %d: %s\n", call, number, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int open_one(int type, int number)
{
	int fd = socket(AF_INET, type, 0);
	check(fd >= 0, "socket", number);
	check(connect(fd, (struct sockaddr *)&far_side, sizeof far_side) == 0, "connect", number);
	return fd;
}

static void read_all(int fd, char *bytes, size_t size, int number)
{
	for (size_t done = 0; done < size;) {
		ssize_t length = read(fd, bytes + done, size - done);
		if (length == 0) errno = ECONNABORTED;
		check(length > 0, "read", number);
		done += length;
	}
}

static void many(void)
{
	char line[8], answer[8];
	for (int i = 0; i < count; i++) sockets[i] = open_one(SOCK_STREAM, i);
	printf("%d open\n", count);
	fflush(stdout);
	for (int i = 0; i < count; i++) {
		sprintf(line, "%7d", i);
		check(write(sockets[i], line, sizeof line) == sizeof line, "write", i);
	}
	for (int i = 0; i < count; i++) {
		sprintf(line, "%7d", i);
		read_all(sockets[i], answer, sizeof answer, i);
		errno = EPROTO;
		check(memcmp(line, answer, sizeof line) == 0, "answer", i);
		check(shutdown(sockets[i], SHUT_WR) == 0, "shutdown", i);
	}
	for (int i = 0; i < count; i++) {
		check(read(sockets[i], answer, 1) == 0, "end", i);
		close(sockets[i]);
	}
	printf("%d answered\n", count);
}

static void hold(void)
{
	long long total = 0;
	for (int i = 0; i < count; i++) sockets[i] = open_one(SOCK_STREAM, i);
	printf("%d open\n", count);
	fflush(stdout);
	check(read(0, memory, MIB) > 0, "input", 0);
	for (int i = 0; i < count; i++)
		for (ssize_t length = 1; length != 0; total += length) {
			length = read(sockets[i], memory, MIB);
			check(length >= 0, "read", i);
		}
	printf("%lld bytes\n", total);
}

static void pour(void)
{
	struct pollfd polled[MOST];
	int left[MOST];
	for (int i = 0; i < count; i++) {
		polled[i] = (struct pollfd){ open_one(SOCK_STREAM, i), POLLOUT, 0 };
		fcntl(polled[i].fd, F_SETFL, O_NONBLOCK);
		left[i] = 32 * MIB;
	}
	printf("%d open\n", count);
	fflush(stdout);
	for (int open = count; open > 0;) {
		check(poll(polled, count, -1) > 0, "poll", 0);
		for (int i = 0; i < count; i++) {
			if (!polled[i].revents) continue;
			ssize_t length = write(polled[i].fd, memory, left[i] < MIB ? left[i] : MIB);
			check(length > 0, "write", i);
			left[i] -= length;
			if (left[i] > 0) continue;
			// Poll() does not look at negative ones.
			sockets[i] = polled[i].fd;
			polled[i].fd = -1;
			shutdown(sockets[i], SHUT_WR);
			open--;
		}
	}
	for (int i = 0; i < count; i++) {
		fcntl(sockets[i], F_SETFL, 0);
		check(read(sockets[i], memory, 1) == 0, "end", i);
	}
	printf("%d poured\n", count);
}

static void churn(void)
{
	int64_t start = now();
	for (int i = 0; i < count; i++) close(open_one(SOCK_STREAM, i));
	printf("churn %.0f\n", (double)(now() - start) / count);
}

static void visit(void)
{
	int calls = strcmp(mode, "call") == 0;
	for (int i = 0; i < count; i++) {
		int fd = open_one(SOCK_STREAM, i);
		if (calls) shutdown(fd, SHUT_WR);
		check(read(fd, memory, MIB) == 0, "end", i);
		close(fd);
	}
	printf("%d done\n", count);
}

static void refused(void)
{
	int64_t start = now();
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		check(connect(fd, (struct sockaddr *)&far_side, sizeof far_side) < 0 && errno == ECONNREFUSED, "connect", i);
		close(fd);
	}
	printf("refused %.0f\n", (double)(now() - start) / count);
}

static void flows(void)
{
	for (int i = 0; i < count; i++) sockets[i] = open_one(SOCK_DGRAM, i);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < count; i++) {
			int answer = -1;
			check(write(sockets[i], &i, sizeof i) == sizeof i, "write", i);
			check(read(sockets[i], &answer, sizeof answer) == sizeof answer, "read", i);
			errno = EPROTO;
			check(answer == i, "answer", i);
		}
	printf("%d answered\n", count);
}

static void send_zeros(void)
{
	int fd = open_one(SOCK_STREAM, 0);
	int64_t start = now();
	for (int i = 0; i < count; i++)
		for (ssize_t done = 0; done < MIB;) {
			ssize_t length = write(fd, memory + done, MIB - done);
			check(length > 0, "write", i);
			done += length;
		}
	shutdown(fd, SHUT_WR);
	check(read(fd, memory, 1) == 0, "end", 0);
	printf("send %lld\n", (long long)(now() - start));
}

static void receive(void)
{
	int fd = open_one(SOCK_STREAM, 0);
	int64_t start = now();
	for (int i = 0; i < count; i++) read_all(fd, memory, MIB, i);
	printf("receive %lld\n", (long long)(now() - start));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
		int most;
	} modes[] = {
		{ "many", many, MOST },          { "flows", flows, MOST },
		{ "hold", hold, MOST },          { "pour", pour, MOST },
		{ "churn", churn, INT_MAX },     { "visit", visit, INT_MAX },
		{ "call", visit, INT_MAX },      { "refused", refused, INT_MAX },
		{ "send", send_zeros, INT_MAX }, { "receive", receive, INT_MAX },
	};
	struct rlimit limit = { MOST + 16, MOST + 16 };
	setrlimit(RLIMIT_NOFILE, &limit);
	mode = argv[1];
	if (argc == 5 && inet_pton(AF_INET, argv[2], &far_side.sin_addr) == 1) {
		far_side.sin_port = htons(atoi(argv[3]));
		count = atoi(argv[4]);
		for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
			if (strcmp(mode, modes[i].name) == 0 && count > 0 && count <= modes[i].most) return modes[i].run(), 0;
	}
	fputs("usage: connections many|flows|hold|pour|churn|visit|call|refused|send|receive ADDRESS PORT COUNT\n", stderr);
	return 2;
}
