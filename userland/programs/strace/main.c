// SPDX-License-Identifier: MIT
// Prints the system calls of a program. Its options mean what they mean to the
// well-known strace:
//
//   strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] COMMAND [ARGUMENT...]
//   strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] -p PID
//
// A tracee stops only at its system calls (docs/debugging.md), so a tracee that
// makes none is never seen. This program does not use printf or fork, which
// would make it twice as large.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "strace.h"

pid_t command;
int command_started;
int follow, summary;

static long options(void)
{
	return PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |
	       (follow ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE : 0);
}

struct start {
	const char *path;
	char **arguments;
	int gate[2];
};

/*
 * A system call as the kernel answers it (docs/abi-programs.md). The library's
 * functions set errno. No signal has a handler yet, so none has to be run.
 */
__attribute__((__import_module__("linux"), __import_name__("syscall")))
long bare_call(long number, long a, long b, long c, long d, long e, long f);

/*
 * Runs in the child, which shares the tracer's memory until it executes the
 * command. Until then errno and the like belong to the tracer.
 */
static int run_command(void *argument)
{
	struct start *start = argument;
	char c;
	bare_call(SYS_close, start->gate[1], 0, 0, 0, 0, 0);
	long n;
	while ((n = bare_call(SYS_read, start->gate[0], (long)&c, 1, 0, 0, 0)) < 0) {
	}
	/* The tracer is gone. */
	if (n == 0) bare_call(SYS_exit_group, 127, 0, 0, 0, 0, 0);
	bare_call(SYS_execve, (long)start->path, (long)start->arguments, (long)environ, 0, 0, 0);
	bare_call(SYS_exit_group, 127, 0, 0, 0, 0, 0);
	return 0;
}

/* Finds the file of a command as a shell does. */
static const char *find_command(const char *name)
{
	static char path[4096];
	const char *folder = getenv("PATH");
	size_t length = strlen(name);

	if (strchr(name, '/')) return access(name, X_OK) == 0 ? name : 0;
	while (folder && *folder) {
		size_t n = strcspn(folder, ":");
		if (n + length + 2 <= sizeof path) {
			memcpy(path, folder, n);
			path[n] = '/';
			memcpy(path + n + 1, name, length + 1);
			struct stat status;
			if (access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode)) return path;
		}
		folder += n;
		folder += *folder == ':';
	}
	errno = ENOENT;
	return 0;
}

static void start_command(char **arguments)
{
	static char stack[16384] __attribute__((__aligned__(16)));
	static struct start start;
	int status;

	start.arguments = arguments;
	start.path = find_command(*arguments);
	if (!start.path) fail(*arguments, strerror(errno));
	if (pipe2(start.gate, O_CLOEXEC) < 0) fail("pipe", strerror(errno));
	command = clone(run_command, stack + sizeof stack, CLONE_VM | SIGCHLD, &start);
	if (command < 0) fail("clone", strerror(errno));
	if (ptrace(PTRACE_SEIZE, command, 0, options()) < 0 || ptrace(PTRACE_INTERRUPT, command, 0, 0) < 0)
		fail("ptrace", strerror(errno));
	find_tracee(command);
	while (waitpid(command, &status, __WALL) < 0 && errno == EINTR) {
	}
	/*
	 * From here on the child stops at its calls. Those before the execve()
	 * of the command are not shown.
	 */
	ptrace(PTRACE_SYSCALL, command, 0, 0);
	close(start.gate[0]);
	write(start.gate[1], "", 1);
	close(start.gate[1]);
}

static void attach(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);
	if (*end || pid <= 0) fail(text, "not a process");
	if (ptrace(PTRACE_SEIZE, pid, 0, options()) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		fail(text, strerror(errno));
	find_tracee(pid);
	command_started = 1;
}

int main(int argc, char **argv)
{
	const char *file = 0, *process = 0;
	int option;

	while ((option = getopt(argc, argv, "+fce:o:p:")) != -1) {
		switch (option) {
		case 'f': follow = 1; break;
		case 'c': summary = 1; break;
		case 'e': set_filter(optarg); break;
		case 'o': file = optarg; break;
		case 'p': process = optarg; break;
		default: return 1;
		}
	}
	if (!process == (optind == argc))
		fail("usage: strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] {-p PID | COMMAND [ARGUMENT...]}", 0);
	if (file) {
		output = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (output < 0) fail(file, strerror(errno));
	}
	if (process) attach(process);
	else start_command(argv + optind);
	/* The command would inherit this if it came before. */
	static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	signal(SIGCHLD, SIG_DFL);
	sigaddset(&awaited, SIGCHLD);
	for (unsigned i = 0; i < COUNT(fatal); i++) {
		struct sigaction former;
		sigaction(fatal[i], 0, &former);
		if (former.sa_handler != SIG_IGN) sigaddset(&awaited, fatal[i]);
	}
	sigprocmask(SIG_BLOCK, &awaited, 0);
	int status = trace();
	if (open_tracee) put(" <detached ...>\n"), flush();
	if (summary) print_summary();
	if (interrupted) {
		/*
		 * A tracee goes on without a tracer, so the command is ended.
		 */
		if (command) kill(command, interrupted);
		return 128 + interrupted;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
