// SPDX-License-Identifier: MIT
// Attaching to a process, stopping it, and the end of a tracer.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

static int gate[2];

static pid_t waiting_child(void)
{
	char c;
	CHECK(pipe(gate) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &c, 1) == 1 && read(gate[0], &c, 1) == 0 ? 31 : 32);
	}
	close(gate[0]);
	return child;
}

void test_attach(void)
{
	CHECK_ERROR(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_ERROR(ptrace(PTRACE_ATTACH, 999999, 0, 0), ESRCH);
	pid_t child = waiting_child();
	CHECK_ERROR(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
	wait_until_asleep(child);
	CHECK(ptrace(PTRACE_ATTACH, child, 0, 0) == 0);
	CHECK_ERROR(ptrace(PTRACE_ATTACH, child, 0, 0), EPERM);
	STOPPED(child, SIGSTOP);
	CHECK_ERROR(ptrace(PTRACE_INTERRUPT, child, 0, 0), EIO);
	CHECK(get_registers(child).syscall_nr == SYS_read);
	/* The read that was interrupted begins again. */
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SIGTRAP);
	CHECK(get_registers(child).syscall_nr == SYS_read && get_registers(child).result == -ENOSYS);
	GO(PTRACE_DETACH, child, 0);
	CHECK(write(gate[1], "x", 1) == 1);
	close(gate[1]);
	EXITED(child, 31);
}

void test_seize(void)
{
	pid_t child = waiting_child();
	CHECK(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(waitpid(child, &status, WNOHANG) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
	EVENT(child, PTRACE_EVENT_STOP);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	GO(PTRACE_CONT, child, 0);

	/* A group stop, in which it stays while the tracer listens. */
	CHECK(kill(child, SIGSTOP) == 0);
	STOPPED(child, SIGSTOP);
	GO(PTRACE_CONT, child, SIGSTOP);
	CHECK(stopped_by(child, SIGSTOP | PTRACE_EVENT_STOP << 8));
	GO(PTRACE_LISTEN, child, 0);
	CHECK(waitpid(child, &status, WNOHANG) == 0);
	CHECK(kill(child, SIGCONT) == 0);
	EVENT(child, PTRACE_EVENT_STOP);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGCONT);
	GO(PTRACE_CONT, child, 0);
	CHECK(ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
	EVENT(child, PTRACE_EVENT_STOP);
	GO(PTRACE_CONT, child, 0);
	CHECK(kill(child, SIGUSR1) == 0);
	STOPPED(child, SIGUSR1);
	GO(PTRACE_DETACH, child, SIGSTOP);
	/* Stopped, and not traced: */
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(write(gate[1], "x", 1) == 1);
	close(gate[1]);
	EXITED(child, 31);
}

/* What never makes a system call never stops; attaching to it does not wait, and SIGKILL ends it. */
void test_spinner(void)
{
	CHECK(pipe(gate) == 0);
	pid_t child = fork();
	if (child == 0) {
		write(gate[1], "x", 1);
		for (volatile int i = 0;; i++) {
		}
	}
	char c;
	CHECK(read(gate[0], &c, 1) == 1);
	CHECK(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
	CHECK(waitpid(child, &status, WNOHANG) == 0);
	CHECK_ERROR(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
	/* It is the tracer's to decide on this one, at a call that never comes. */
	CHECK(kill(child, SIGTERM) == 0 && waitpid(child, &status, WNOHANG) == 0);
	CHECK(kill(child, SIGKILL) == 0);
	KILLED(child, SIGKILL);
	close(gate[0]);
	close(gate[1]);
}

/* The end of a tracer: its tracees go on, or with PTRACE_O_EXITKILL they are killed. */
void test_end_of_tracer(void)
{
	for (int kills = 0; kills < 2; kills++) {
		pid_t child = waiting_child();
		pid_t tracer = fork();
		if (tracer == 0) {
			close(gate[1]);
			if (ptrace(PTRACE_SEIZE, child, 0, kills ? PTRACE_O_EXITKILL : 0) != 0) _exit(1);
			if (ptrace(PTRACE_INTERRUPT, child, 0, 0) != 0) _exit(2);
			if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) _exit(3);
			_exit(33);
		}
		EXITED(tracer, 33);
		if (kills) KILLED(child, SIGKILL);
		else CHECK(write(gate[1], "x", 1) == 1);
		close(gate[1]);
		if (!kills) EXITED(child, 31);
	}
}
