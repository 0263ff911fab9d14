// SPDX-License-Identifier: MIT
// System calls where the engine's stack is nearly full: each is made, or the process dies of SIGSEGV as in its own code, and the
// machine goes on. Run by tests/boot/recursion.test.mjs with small stacks, and in Chromium.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "check.h"

enum { STEPS = 60, MOST = 1 << 20 };

static volatile int zero;
static int file;
static const char *self;
static char alternate[65536];

static void call_nothing(void) {}
static void call_getppid(void) { getppid(); }
static void call_write(void) { (void)!write(file, "x", 1); }
static void call_open(void) { close(open("/proc/self/status", O_RDONLY)); }
static void call_mmap(void) { munmap(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 20); }
static void call_execve(void) { execl(self, self, "exit", (char *)NULL); }
static void call_kill(void) { kill(getpid(), SIGURG); }
static void call_stat(void)
{
	struct stat status;
	stat("/usr/bin/../bin/./sh", &status);
}
static void call_fork(void)
{
	pid_t child = fork();
	if (child == 0) _exit(0);
	waitpid(child, NULL, 0);
}
static void call_poll(void)
{
	struct pollfd nothing = { .fd = -1 };
	poll(&nothing, 1, 1);
}
static void call_connect(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	connect(fd, (struct sockaddr *)&address, sizeof address);
	close(fd);
}

static const struct {
	const char *name;
	void (*make)(void);
} calls[] = {
	{ "getppid", call_getppid }, { "write", call_write }, { "open", call_open }, { "stat", call_stat }, { "mmap", call_mmap },
	{ "poll", call_poll }, { "kill", call_kill }, { "connect", call_connect }, { "fork", call_fork }, { "execve", call_execve },
};

/* Its frame is the engine's alone: no variable is in memory. */
__attribute__((noinline)) static int descend(int levels, void (*at_bottom)(void), int a, int b)
{
	if (levels == 0) {
		at_bottom();
		return a + zero;
	}
	return descend(levels - 1, at_bottom, b + zero, a + 1) * 3 + a + b + levels;
}

/* A call at each level, as a program that recurses would make it. */
__attribute__((noinline)) static int descend_calling(int level, void (*make)(void))
{
	if (level == MOST) return 0;
	make();
	return descend_calling(level + 1, make) + level + zero;
}

/* 0, or the signal that a child died of. */
static int run(int levels, void (*at_bottom)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		descend(levels, at_bottom, 1, 2);
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status)) return WTERMSIG(status);
	CHECK(WEXITSTATUS(status) == 0);
	return 0;
}

/* The most levels that work, with no call. */
static int depth(void)
{
	int works = 10, fails = MOST;
	while (fails - works > 1) {
		int middle = works + (fails - works) / 2;
		if (run(middle, call_nothing) == 0) works = middle;
		else fails = middle;
	}
	return works;
}

static void leave(int signal)
{
	char here;
	(void)!write(1, "handled\n", 8);
	_exit(&here >= alternate && &here < alternate + sizeof alternate ? 3 : 4);
}

static void check_handler(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof alternate }, NULL);
		sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = leave, .sa_flags = SA_ONSTACK }, NULL);
		descend_calling(0, call_write);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(int count, char **arguments)
{
	if (count > 1) return 0;
	self = arguments[0];
	file = open("/dev/null", O_WRONLY);
	// The engine compiles it again, with other frames, when it has run often.
	for (int i = 0; i < 1000; i++) descend(500, call_nothing, 1, 2);
	CHECK(run(MOST, call_nothing) == SIGSEGV);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int made = 0, refused = 0, most = depth();
		// From where there is room enough for the kernel, with the smallest stack, to where there is none.
		for (int step = STEPS / 2; step <= STEPS; step++) {
			int signal = run((long long)most * step / STEPS, calls[i].make);
			CHECK(signal == 0 || signal == SIGSEGV);
			if (signal == 0) made++;
			else refused++;
		}
		printf("%s: %s\n", calls[i].name, made && refused ? "made or SIGSEGV" : made ? "always made" : "never made");
		fflush(stdout);
	}
	for (size_t i = 0; i < 7; i++) {
		int status;
		pid_t child = fork();
		if (child == 0) descend_calling(0, calls[i].make);
		CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	check_handler();
	puts(failures ? "faults" : "the machine goes on");
	return failures != 0;
}
