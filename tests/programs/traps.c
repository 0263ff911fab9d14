// SPDX-License-Identifier: MIT
// A trap ends the process that made it, with the signal that Linux would send.
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static volatile int zero, one = 1, minimum = INT_MIN, minus_one = -1;
static volatile uintptr_t wild = 0xfffffff0;

static void load(void) { (void)*(volatile int *)wild; }
static void store(void) { *(volatile int *)wild = 1; }
static void big_copy(void) { memcpy((void *)wild, "", zero + 1), memset((void *)wild, 0, 1 << 20); }
static void unreachable(void) { __builtin_trap(); }
static void divide(void) { zero = one / zero; }
static void remainder_by_zero(void) { zero = one % zero; }
static void overflow(void) { zero = minimum / minus_one; }
static void null_call(void) { ((void (*)(void))(uintptr_t)zero)(); }
static void missing_call(void) { ((void (*)(void))(uintptr_t)(zero + 1000000))(); }
static void (*volatile any)(void) = divide;
static void wrong_call(void) { ((long long (*)(double))any)(1.0); }
static int endless(int n)
{
	volatile char frame[4096];
	frame[n & 4095] = n;
	return n == minus_one ? 0 : endless(n + 1) + frame[0];
}
static void stack(void) { endless(1); }
static void aborts(void) { abort(); }

static const struct {
	const char *name;
	void (*function)(void);
	int signal;
} traps[] = {
	{ "load", load, SIGSEGV },
	{ "store", store, SIGSEGV },
	{ "memset", big_copy, SIGSEGV },
	{ "unreachable", unreachable, SIGILL },
	{ "division by zero", divide, SIGFPE },
	{ "remainder by zero", remainder_by_zero, SIGFPE },
	{ "division overflow", overflow, SIGFPE },
	{ "call of null", null_call, SIGSEGV },
	{ "call of nothing", missing_call, SIGSEGV },
	{ "call with the wrong type", wrong_call, SIGSEGV },
	{ "stack overflow", stack, SIGSEGV },
	{ "abort", aborts, SIGABRT },
};

int main(void)
{
	for (unsigned i = 0; i < sizeof traps / sizeof *traps; i++) {
		fflush(stdout);
		int status;
		pid_t child = fork();
		if (child == 0) {
			traps[i].function();
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		if (WIFSIGNALED(status) && WTERMSIG(status) == traps[i].signal)
			printf("%s: %s\n", traps[i].name, strsignal(traps[i].signal));
		else
			printf("%s: wait status %#x\n", traps[i].name, status);
	}
	/* a signal that cannot be handled because the program cannot go on */
	int status;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_IGN);
		store();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	return failures != 0;
}
