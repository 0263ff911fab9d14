// SPDX-License-Identifier: MIT
// The lines that strace prints: one for each call, signal and end of a tracee,
// and the summary.
#include <asm/unistd.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "strace.h"

static const struct value restarts[] = {
	{ 512, "ERESTARTSYS" }, { 513, "ERESTARTNOINTR" }, { 514, "ERESTARTNOHAND" }, { 516, "ERESTART_RESTARTBLOCK" },
	{ 0 }
};

struct tracee *open_tracee;
static struct {
	unsigned calls, errors;
} counts[CALLS + 1];

static void put_call_name(unsigned number)
{
	const char *name = call_name(number);
	if (name) put(name);
	else put("syscall_"), put_hex(number);
}

/*
 * Begins a line for @tracee. A line that waits for another tracee's call to
 * return ends here.
 */
void begin_line(struct tracee *tracee)
{
	if (open_tracee && open_tracee != tracee) {
		put(" <unfinished ...>\n");
		open_tracee->open_line = 0;
		open_tracee = 0;
	}
	if (follow && (tracee_count > 1 || tracee->pid != command)) {
		put("[pid ");
		put_number(tracee->pid, 10, 5);
		put("] ");
	}
}

void end_line(void)
{
	put("\n");
	flush();
}

void enter_call(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
	tracee->in_call = 1;
	tracee->number = info->entry.nr;
	for (int i = 0; i < 6; i++) tracee->arguments[i] = info->entry.args[i];
	tracee->printed = 0;
	if (tracee->pid == command && tracee->number == __NR_execve) command_started = 1;
	tracee->shown = command_started && is_call_shown(tracee->number);
	if (!tracee->shown || summary) return;
	begin_line(tracee);
	put_call_name(tracee->number);
	put("(");
	put_arguments(tracee, 0, 0);
	tracee->open_line = 1;
	open_tracee = tracee;
	flush();
}

static void put_result(const struct tracee *tracee, int64_t result)
{
	put(") = ");
	if (result < 0) {
		const char *name = error_name(-result);
		if (name) {
			put("-1 ");
			put(name);
			put(" (");
			put(strerror(-result));
			put(")");
		} else {
			put("? ");
			put_value(-result, restarts);
		}
		return;
	}
	switch (tracee->number) {
	case __NR_brk: case __NR_mmap2: case __NR_mremap: put_hex(result); break;
	case __NR_umask: if (result) put("0"); put_number(result, 8, 0); break;
	default: put_signed((int32_t)result);
	}
}

void leave_call(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
	int64_t result = info->exit.rval;
	if (!tracee->in_call) return;
	tracee->in_call = 0;
	if (!tracee->shown) return;
	unsigned number = tracee->number < call_count ? tracee->number : call_count;
	counts[number].calls++;
	counts[number].errors += info->exit.is_error;
	if (summary) return;
	if (!tracee->open_line) {
		begin_line(tracee);
		put("<... ");
		put_call_name(tracee->number);
		put(" resumed>");
	}
	put_arguments(tracee, 1, info->exit.is_error ? result : (int32_t)result < 0 ? 0 : result);
	put_result(tracee, result);
	end_line();
	tracee->open_line = 0;
	open_tracee = 0;
}

void report_signal(struct tracee *tracee, int signal)
{
	siginfo_t info;
	if (summary || !command_started || ptrace(PTRACE_GETSIGINFO, tracee->pid, 0, &info) < 0) return;
	begin_line(tracee);
	put("--- ");
	put_signal(signal);
	put(" ");
	put_siginfo(&info);
	put(" ---");
	end_line();
}

void report_end(struct tracee *tracee, int status)
{
	if (!summary && command_started) {
		if (tracee->in_call && tracee->shown) {
			if (!tracee->open_line) {
				begin_line(tracee);
				put("<... ");
				put_call_name(tracee->number);
				put(" resumed>");
			}
			put(") = ?");
			end_line();
			open_tracee = 0;
		}
		begin_line(tracee);
		put("+++ ");
		if (WIFEXITED(status)) {
			put("exited with ");
			put_number(WEXITSTATUS(status), 10, 0);
		} else {
			put("killed by ");
			put_signal(WTERMSIG(status));
		}
		put(" +++");
		end_line();
	}
}

void print_summary(void)
{
	put("    calls    errors syscall\n--------- --------- ----------------\n");
	unsigned calls = 0, errors = 0;
	for (;;) {
		unsigned most = 0;
		for (unsigned i = 1; i <= call_count; i++)
			if (counts[i].calls > counts[most].calls) most = i;
		if (!counts[most].calls) break;
		put_number(counts[most].calls, 10, 9);
		put(" ");
		if (counts[most].errors) put_number(counts[most].errors, 10, 9);
		else put("         ");
		put(" ");
		put_call_name(most);
		put("\n");
		calls += counts[most].calls;
		errors += counts[most].errors;
		counts[most].calls = 0;
	}
	put("--------- --------- ----------------\n");
	put_number(calls, 10, 9);
	put(" ");
	put_number(errors, 10, 9);
	put(" total\n");
	flush();
}
