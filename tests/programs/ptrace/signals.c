// SPDX-License-Identifier: MIT
// A tracer sees, keeps back and replaces signals; traps; a signal at a call that has no number.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

static volatile sig_atomic_t handled;
static void on_signal(int number) { handled = handled * 100 + number; }

static void send_signals(void)
{
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	raise(SIGUSR1);		/* delivered */
	raise(SIGUSR1);		/* kept back */
	raise(SIGUSR1);		/* replaced by SIGUSR2 */
	raise(SIGTERM);		/* kept back */
	getppid();		/* SIGUSR1 from nowhere */
	getppid();
	_exit(handled == 101210 ? 11 : handled == 1012 ? 12 : 13);
}

void test_signals(void)
{
	pid_t child = traced(send_signals);
	siginfo_t info;

	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGUSR1);
	CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0);
	CHECK(info.si_signo == SIGUSR1 && info.si_code == SI_TKILL && info.si_pid == child);
	CHECK(get_info(child).op == PTRACE_SYSCALL_INFO_NONE);
	/* What the tracer sees of the handler is the call that ends it; not the one by which the C library begins it. */
	ptrace(PTRACE_SYSCALL, child, 0, SIGUSR1);
	STOPPED(child, SYSCALL_STOP);
	struct __ptrace_syscall_info call = get_info(child);
	CHECK(call.op == PTRACE_SYSCALL_INFO_ENTRY && call.entry.nr == SYS_rt_sigreturn);
	GO(PTRACE_SYSCALL, child, 0);
	STOPPED(child, SYSCALL_STOP);
	CHECK(get_info(child).op == PTRACE_SYSCALL_INFO_EXIT);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGUSR1);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGUSR1);
	GO(PTRACE_CONT, child, SIGUSR2);
	STOPPED(child, SIGTERM);
	run_to(child, SYS_getppid);
	/* A signal that is given at a stop for a system call has effect there. */
	GO(PTRACE_CONT, child, SIGUSR1);
	STOPPED(child, SIGUSR1);
	GO(PTRACE_CONT, child, SIGUSR1);
	EXITED(child, 11);
}

static void trap(void)
{
	*(volatile int *)0xffffff00 = 1;
}

void test_traps(void)
{
	pid_t child = traced(trap);
	siginfo_t info;
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGSEGV);
	CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0 && info.si_code == SEGV_MAPERR);
	CHECK(get_registers(child).syscall_nr == ~0U);
	GO(PTRACE_CONT, child, SIGSEGV);
	KILLED(child, SIGSEGV);
	/* There is nothing that could go on when the signal is kept back. */
	child = traced(trap);
	GO(PTRACE_CONT, child, 0);
	STOPPED(child, SIGSEGV);
	GO(PTRACE_CONT, child, 0);
	KILLED(child, SIGSEGV);
}

static atomic_int flag;
static void *send_and_tell(void *main_thread)
{
	pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
	flag = 1;
	return 0;
}

/* A call of the number that means "no call" to the kernel, with a signal pending. */
void test_no_number(void)
{
	pthread_t self = pthread_self(), other;
	signal(SIGUSR1, on_signal);
	handled = 0;
	CHECK(pthread_create(&other, 0, send_and_tell, &self) == 0);
	while (!flag) {
	}
	CHECK_ERROR(syscall(-1), ENOSYS);
	CHECK(handled == SIGUSR1);
	pthread_join(other, 0);
}
