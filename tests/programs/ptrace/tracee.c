// SPDX-License-Identifier: MIT
// What all parts of this test do with a tracee: make one, wait for it, look at its call.
#define _GNU_SOURCE
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

int status;
volatile int cell = 4711;
char text[] = "traced\n";

int stopped_by(pid_t pid, int signal)
{
	pid_t seen = waitpid(pid, &status, __WALL);
	if (seen == pid && WIFSTOPPED(status) && status >> 8 == signal) return 1;
	printf("waitpid(%d) gave %d, status %#x\n", pid, seen, status);
	return 0;
}

struct user_regs_struct get_registers(pid_t pid)
{
	struct user_regs_struct registers = { 0 };
	struct iovec vector = { &registers, sizeof registers };
	CHECK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector) == 0 && vector.iov_len == sizeof registers);
	return registers;
}

void set_registers(pid_t pid, struct user_regs_struct *registers)
{
	struct iovec vector = { registers, sizeof *registers };
	CHECK(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector) == 0);
}

struct __ptrace_syscall_info get_info(pid_t pid)
{
	struct __ptrace_syscall_info info;
	memset(&info, 0xff, sizeof info);
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0);
	return info;
}

/* Lets @pid go on to its next call of @number, past others; it stops before it. */
void run_to(pid_t pid, int number)
{
	for (;;) {
		GO(PTRACE_SYSCALL, pid, 0);
		if (!stopped_by(pid, SYSCALL_STOP)) {
			printf("no call %d\n", number);
			failures++;
			return;
		}
		struct __ptrace_syscall_info info = get_info(pid);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == (unsigned)number) return;
	}
}

/* A child that is traced, and stopped by SIGSTOP, before it calls @function. */
pid_t traced(void (*function)(void))
{
	pid_t child = fork();
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(100);
		raise(SIGSTOP);
		function();
		_exit(0);
	}
	STOPPED(child, SIGSTOP);
	GO(PTRACE_SETOPTIONS, child, PTRACE_O_TRACESYSGOOD);
	return child;
}
