// SPDX-License-Identifier: MIT
// A tracer sees system calls, changes them, and makes others of them.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

static void some_calls(void)
{
	int ends[2];
	pipe(ends);
	long written = write(ends[1], text, 7);
	long group = getpgid(0);
	long missing = syscall(9999, 1, 2, 3, 4, 5, 6);
	_exit(written == 7 && group > 0 && missing == -1 && errno == ENOSYS ? 7 : 8);
}

void test_calls(void)
{
	pid_t child = traced(some_calls);
	run_to(child, SYS_write);
	struct user_regs_struct registers = get_registers(child);
	CHECK(registers.syscall_nr == SYS_write && registers.args[1] == (uintptr_t)text && registers.args[2] == 7);
	CHECK(registers.result == -ENOSYS);
	struct __ptrace_syscall_info info = get_info(child);
	CHECK(info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.args[1] == (uintptr_t)text && info.entry.args[2] == 7);
	siginfo_t signal;
	CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &signal) == 0 && signal.si_code == SYSCALL_STOP);

	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	registers = get_registers(child);
	CHECK(registers.syscall_nr == SYS_write && registers.result == 7 && registers.args[2] == 7);
	info = get_info(child);
	CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == 7 && !info.exit.is_error);

	run_to(child, 9999);
	CHECK(get_registers(child).args[5] == 6);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	info = get_info(child);
	CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == -ENOSYS && info.exit.is_error);
	run_to(child, SYS_exit_group);
	CHECK(get_registers(child).args[0] == 7);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 7);
	CHECK_ERROR(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
}

static void changed_calls(void)
{
	int ends[2];
	char bytes[4] = "";
	if (pipe(ends) != 0) _exit(1);
	if (write(ends[1], "wrong", 5) != 5) _exit(2);	/* a length of 2 */
	if (read(ends[0], bytes, 4) != 2) _exit(3);	/* of what was written */
	if (bytes[1] != 'r') _exit(4);
	if (getpgid(0) != getppid()) _exit(5);		/* another call */
	if (getsid(0) != 12345) _exit(6);		/* none */
	if (dup(0) != -1 || errno != EXDEV) _exit(7);	/* none, and an error */
	_exit(9);
}

void test_changes(void)
{
	pid_t child = traced(changed_calls);
	struct user_regs_struct registers;

	run_to(child, SYS_write);
	registers = get_registers(child);
	registers.args[2] = 2;
	set_registers(child, &registers);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	registers = get_registers(child);
	CHECK(registers.result == 2);
	registers.result = 5;
	set_registers(child, &registers);

	run_to(child, SYS_getpgid);
	registers = get_registers(child);
	registers.syscall_nr = SYS_getppid;
	set_registers(child, &registers);
	run_to(child, SYS_getsid);
	registers = get_registers(child);
	registers.syscall_nr = -1;
	registers.result = 12345;
	set_registers(child, &registers);
	run_to(child, SYS_dup);
	registers = get_registers(child);
	registers.syscall_nr = -1;
	registers.result = -EXDEV;
	set_registers(child, &registers);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	CHECK(get_registers(child).result == -EXDEV);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 9);
}

static void emulated_calls(void)
{
	_exit(syscall(SYS_getsid, 11, 22) == 33 ? 3 : 4);
}

void test_emulation(void)
{
	pid_t child = traced(emulated_calls);
	struct user_regs_struct registers;
	do {
		/* the end of what raise() calls comes before */
		GO(PTRACE_SYSEMU, child, 0);
		STOPPED(child, SYSCALL_STOP);
		registers = get_registers(child);
		if (registers.syscall_nr != SYS_getsid) registers.result = 0, set_registers(child, &registers);
	} while (registers.syscall_nr != SYS_getsid);
	CHECK(get_info(child).op == PTRACE_SYSCALL_INFO_ENTRY);
	registers.result = registers.args[0] + registers.args[1];
	set_registers(child, &registers);
	/* no stop when it returns */
	GO(PTRACE_SYSEMU, child, 0);
	STOPPED(child, SYSCALL_STOP);
	CHECK(get_registers(child).syscall_nr == SYS_exit_group);
	CHECK_ERROR(ptrace(PTRACE_SINGLESTEP, child, 0, 0), EIO);
	/* Not made: it would be gone. */
	GO(PTRACE_KILL, child, 0);
	KILLED(child, SIGKILL);
}

static void fork_not(void)
{
	pid_t child = fork();
	_exit(child == getpid() ? 24 : 25);
}

/* A tracer that makes another call of a fork. */
void test_fork_changed(void)
{
	pid_t child = traced(fork_not);
	run_to(child, SYS_clone);
	struct user_regs_struct registers = get_registers(child);
	CHECK(registers.args[0] == SIGCHLD);
	registers.syscall_nr = SYS_getpid;
	set_registers(child, &registers);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 24);
}
