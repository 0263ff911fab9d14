/* SPDX-License-Identifier: MIT */
/* What the parts of the test of ptrace share. */
#ifndef PTRACE_H
#define PTRACE_H
#include <asm/ptrace.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include "../check.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

extern int status;	/* of the last wait */

/* What a tracer may change in its tracee. */
extern volatile int cell;
extern char text[];

int stopped_by(pid_t pid, int signal);
struct user_regs_struct get_registers(pid_t pid);
void set_registers(pid_t pid, struct user_regs_struct *registers);
struct __ptrace_syscall_info get_info(pid_t pid);
void run_to(pid_t pid, int number);
pid_t traced(void (*function)(void));

#define STOPPED(pid, signal) CHECK(stopped_by(pid, signal))
#define EVENT(pid, event) CHECK(stopped_by(pid, SIGTRAP | (event) << 8))
#define EXITED(pid, code) \
	CHECK(waitpid(pid, &status, __WALL) == (pid) && WIFEXITED(status) && WEXITSTATUS(status) == (code))
#define KILLED(pid, signal) \
	CHECK(waitpid(pid, &status, __WALL) == (pid) && WIFSIGNALED(status) && WTERMSIG(status) == (signal))
#define GO(request, pid, data) CHECK(ptrace(request, pid, 0, data) == 0)

void test_calls(void);
void test_changes(void);
void test_emulation(void);
void test_memory(void);
void test_many_memories(void);
void test_signals(void);
void test_traps(void);
void test_events(void);
void test_other_events(void);
void test_fork_changed(void);
void test_attach(void);
void test_seize(void);
void test_spinner(void);
void test_end_of_tracer(void);
void test_no_number(void);

#endif
