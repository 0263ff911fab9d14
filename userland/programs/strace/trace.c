// SPDX-License-Identifier: MIT
// The tracing loop. It waits for a tracee to stop, has report.c print what the
// tracee did, and lets it go on.
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "strace.h"

static struct tracee *tracees;
int tracee_count;
int interrupted;
sigset_t awaited;

struct tracee *find_tracee(pid_t pid)
{
	struct tracee *tracee = tracees;
	while (tracee && tracee->pid != pid) tracee = tracee->next;
	if (tracee) return tracee;
	tracee = calloc(1, sizeof *tracee);
	if (!tracee) fail("out of memory", 0);
	tracee->pid = pid;
	tracee->next = tracees;
	tracees = tracee;
	tracee_count++;
	return tracee;
}

static void forget_tracee(struct tracee *tracee)
{
	struct tracee **link = &tracees;
	while (*link != tracee) link = &(*link)->next;
	*link = tracee->next;
	if (open_tracee == tracee) open_tracee = 0;
	tracee_count--;
	free(tracee);
}

/*
 * Handles a stop of a tracee. Returns the ptrace request with which the tracee
 * goes on, and stores the signal for it.
 */
static long handle_stop(struct tracee *tracee, int status, int *signal)
{
	int event = status >> 16, number = WSTOPSIG(status);
	struct __ptrace_syscall_info info;
	unsigned long message;

	*signal = 0;
	if (number == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY) enter_call(tracee, &info);
			else if (info.op == PTRACE_SYSCALL_INFO_EXIT) leave_call(tracee, &info);
		}
		return PTRACE_SYSCALL;
	}
	if (event == PTRACE_EVENT_STOP) {
		if (number == SIGTRAP) return PTRACE_SYSCALL;
		if (!summary && command_started) {
			begin_line(tracee);
			put("--- stopped by ");
			put_signal(number);
			put(" ---");
			end_line();
		}
		return PTRACE_LISTEN;
	}
	if (event == PTRACE_EVENT_EXEC) {
		/*
		 * The other threads of the process are gone. If another thread
		 * than the first called execve(), it now has the first one's
		 * number.
		 */
		if (ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message) == 0 && (pid_t)message != tracee->pid) {
			struct tracee *former = find_tracee(message);
			pid_t pid = tracee->pid;
			former->open_line = former->open_line && open_tracee == former;
			forget_tracee(tracee);
			former->pid = pid;
		}
		return PTRACE_SYSCALL;
	}
	if (!event) {
		report_signal(tracee, number);
		*signal = number;
	}
	return PTRACE_SYSCALL;
}

static void handle(pid_t pid, int status, int *command_status)
{
	struct tracee *tracee = find_tracee(pid);
	int signal;

	if (!WIFSTOPPED(status)) {
		if (pid == command) *command_status = status;
		report_end(tracee, status);
		forget_tracee(tracee);
		return;
	}
	long request = handle_stop(tracee, status, &signal);
	/*
	 * This fails if the tracee was killed meanwhile. The next wait tells.
	 */
	ptrace(request, pid, 0, (void *)(intptr_t)signal);
}

/*
 * Traces until all tracees are gone or a signal ends strace. Returns the wait
 * status of the command.
 */
int trace(void)
{
	int status, command_status = 0;
	pid_t pid;

	for (;;) {
		while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) handle(pid, status, &command_status);
		if (!tracees || pid < 0) return command_status;
		int number = sigwaitinfo(&awaited, 0);
		if (number > 0 && number != SIGCHLD) {
			interrupted = number;
			return command_status;
		}
	}
}
