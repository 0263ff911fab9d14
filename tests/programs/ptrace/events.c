// SPDX-License-Identifier: MIT
// A tracer hears of fork, exec, threads and exit.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

static void fork_and_exec(void)
{
	pid_t child = fork();
	if (child == 0) _exit(21);
	waitpid(child, &status, 0);
	execl("/proc/self/exe", "ptrace", "exit", (char *)0);
	_exit(1);
}

void test_events(void)
{
	unsigned long message;
	pid_t child = traced(fork_and_exec);
	GO(PTRACE_SETOPTIONS, child, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
	GO(PTRACE_CONT, child, 0);
	EVENT(child, PTRACE_EVENT_FORK);
	CHECK(ptrace(PTRACE_GETEVENTMSG, child, 0, &message) == 0);
	pid_t grandchild = message;
	STOPPED(grandchild, SIGSTOP);
	/* It has its own memory by now. */
	CHECK(ptrace(PTRACE_POKEDATA, grandchild, &cell, 1) == 0 && ptrace(PTRACE_PEEKDATA, child, &cell, 0) == 4711);
	run_to(grandchild, SYS_exit_group);
	CHECK(get_registers(grandchild).args[0] == 21);
	GO(PTRACE_CONT, grandchild, 0);
	EVENT(grandchild, PTRACE_EVENT_EXIT);
	CHECK(ptrace(PTRACE_GETEVENTMSG, grandchild, 0, &message) == 0 && message == 21 << 8);
	GO(PTRACE_CONT, grandchild, 0);
	EXITED(grandchild, 21);

	GO(PTRACE_SYSCALL, child, 0);
	/* out of clone */
	STOPPED(child, SYSCALL_STOP);
	struct __ptrace_syscall_info info = get_info(child);
	CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == grandchild);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGCHLD);
	GO(PTRACE_CONT, child, 0);
	EVENT(child, PTRACE_EVENT_EXEC);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	info = get_info(child);
	CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == 0);
	/* The new program has not made a call yet. */
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	CHECK(get_info(child).op == PTRACE_SYSCALL_INFO_ENTRY);
	GO(PTRACE_CONT, child, 0);
	EVENT(child, PTRACE_EVENT_EXIT);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 22);
}

static void exec_only(void)
{
	execl("/proc/self/exe", "ptrace", "exit", (char *)0);
}

static void *thread(void *argument)
{
	syscall(SYS_getsid, 0);
	return 0;
}

static void start_thread(void)
{
	pthread_t id;
	pthread_create(&id, 0, thread, 0);
	pthread_join(id, 0);
	_exit(23);
}

void test_other_events(void)
{
	unsigned long message;
	/* Without its option an exec is a SIGTRAP, before the new program's first call. */
	pid_t child = traced(exec_only);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGTRAP);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 22);

	child = traced(start_thread);
	GO(PTRACE_SETOPTIONS, child, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE);
	GO(PTRACE_CONT, child, 0);
	EVENT(child, PTRACE_EVENT_CLONE);
	CHECK(ptrace(PTRACE_GETEVENTMSG, child, 0, &message) == 0);
	STOPPED(message, SIGSTOP);
	GO(PTRACE_CONT, child, 0);
	run_to(message, SYS_getsid);
	GO(PTRACE_CONT, message, 0);
	/* Its own status, or that of the process, if that ends before the thread is gone. */
	CHECK(waitpid(message, &status, __WALL) == (pid_t)message && WIFEXITED(status));
	EXITED(child, 23);
}
