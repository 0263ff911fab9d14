// SPDX-License-Identifier: MIT
// The signal of a trap runs its handler; when that returns, the process dies.
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static volatile int zero, one = 1;
static volatile uintptr_t wild = 0xfffffff0;
static char alternate[65536];

static void store(void) { *(volatile int *)wild = 1; }
static void divide(void) { zero = one / zero; }
static int endless(int n)
{
	volatile char frame[4096];
	frame[n & 4095] = n;
	return n == -1 ? 0 : endless(n + 1) + frame[0];
}
static void stack(void) { endless(1); }

static void leave(int signal, siginfo_t *info, void *context)
{
	char here;

	printf("signal %d code %d address %p, %s stack\n", signal, info->si_code, info->si_addr,
		&here >= alternate && &here < alternate + sizeof alternate ? "alternate" : "own");
	fflush(stdout);
	_exit(3);
}

static void return_from(int signal)
{
	(void)!write(1, "returns\n", 8);
}

/* The signal that the process is to die of, in a frame that the program can change: 0 is none. */
static void forge_frame(int signal, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.__result = 0;
}

static void trap_again(int signal)
{
	(void)!write(1, "traps again\n", 12);
	store();
}

static void handle(int signal, void (*handler)(int), void (*information)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_flags = flags };

	if (information) {
		action.sa_sigaction = information;
		action.sa_flags |= SA_SIGINFO;
	} else {
		action.sa_handler = handler;
	}
	CHECK(sigaction(signal, &action, 0) == 0);
}

static void leaves(void) { handle(SIGSEGV, 0, leave, 0); store(); }
static void leaves_division(void) { handle(SIGFPE, 0, leave, 0); divide(); }
static void returns(void) { handle(SIGFPE, return_from, 0, 0); divide(); }
static void forges(void) { handle(SIGFPE, 0, forge_frame, 0); divide(); }
static void traps_in_handler(void) { handle(SIGSEGV, trap_again, 0, 0); store(); }
static void blocked(void)
{
	sigset_t set;

	handle(SIGSEGV, 0, leave, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
	store();
}
static void overflows(void)
{
	stack_t other = { .ss_sp = alternate, .ss_size = sizeof alternate };

	CHECK(sigaltstack(&other, 0) == 0);
	handle(SIGSEGV, 0, leave, SA_ONSTACK);
	stack();
}
static void overflows_without(void) { handle(SIGSEGV, 0, leave, 0); stack(); }
static void other_signal_first(void)
{
	sigset_t set;

	/* Pending when the trap comes: the trap's signal is delivered all the same. */
	handle(SIGUSR1, return_from, 0, 0);
	handle(SIGSEGV, 0, leave, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
	CHECK(raise(SIGUSR1) == 0);
	store();
}

static const struct {
	const char *name;
	void (*function)(void);
} cases[] = {
	{ "handler that exits", leaves },
	{ "division", leaves_division },
	{ "handler that returns", returns },
	{ "handler that changes its frame", forges },
	{ "trap in the handler", traps_in_handler },
	{ "blocked", blocked },
	{ "stack overflow, alternate stack", overflows },
	{ "stack overflow, no alternate stack", overflows_without },
	{ "another signal pending", other_signal_first },
};

int main(void)
{
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		int status;

		printf("%s:\n", cases[i].name);
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			cases[i].function();
			_exit(99);
		}
		CHECK(waitpid(child, &status, 0) == child);
		if (WIFSIGNALED(status)) printf("killed by %s\n", strsignal(WTERMSIG(status)));
		else printf("exit status %d\n", WEXITSTATUS(status));
	}
	return failures != 0;
}
