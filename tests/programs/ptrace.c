// SPDX-License-Identifier: MIT
// A tracer and what it sees and changes: system calls, memory, signals, events, stops, and the end of both.
#define _GNU_SOURCE
#include <asm/ptrace.h>
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

static int status;

static int stopped_by(pid_t pid, int signal)
{
	pid_t seen = waitpid(pid, &status, __WALL);
	if (seen == pid && WIFSTOPPED(status) && status >> 8 == signal) return 1;
	printf("waitpid(%d) gave %d, status %#x\n", pid, seen, status);
	return 0;
}
#define STOPPED(pid, signal) CHECK(stopped_by(pid, signal))
#define EVENT(pid, event) CHECK(stopped_by(pid, SIGTRAP | (event) << 8))
#define EXITED(pid, code) \
	CHECK(waitpid(pid, &status, __WALL) == (pid) && WIFEXITED(status) && WEXITSTATUS(status) == (code))
#define KILLED(pid, signal) \
	CHECK(waitpid(pid, &status, __WALL) == (pid) && WIFSIGNALED(status) && WTERMSIG(status) == (signal))
#define GO(request, pid, data) CHECK(ptrace(request, pid, 0, data) == 0)

static struct user_regs_struct get_registers(pid_t pid)
{
	struct user_regs_struct registers = { 0 };
	struct iovec vector = { &registers, sizeof registers };
	CHECK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector) == 0 && vector.iov_len == sizeof registers);
	return registers;
}

static void set_registers(pid_t pid, struct user_regs_struct *registers)
{
	struct iovec vector = { registers, sizeof *registers };
	CHECK(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector) == 0);
}

static struct __ptrace_syscall_info get_info(pid_t pid)
{
	struct __ptrace_syscall_info info;
	memset(&info, 0xff, sizeof info);
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0);
	return info;
}

/* Lets @pid go on to its next call of @number, past others; it stops before it. */
static void run_to(pid_t pid, int number)
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
static pid_t traced(void (*function)(void))
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

/* ---- calls ---- */

static volatile int cell = 4711;
static char text[] = "traced\n";

static void some_calls(void)
{
	int ends[2];
	pipe(ends);
	long written = write(ends[1], text, 7);
	long group = getpgid(0);
	long missing = syscall(9999, 1, 2, 3, 4, 5, 6);
	_exit(written == 7 && group > 0 && missing == -1 && errno == ENOSYS ? 7 : 8);
}

static void test_calls(void)
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

static void test_changes(void)
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

static void test_emulation(void)
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

/* ---- memory ---- */

static void look_at_cell(void)
{
	getppid();
	_exit(cell == 815 && memcmp(text, "TRACEd\n", 7) == 0 ? 5 : 6);
}

static void test_memory(void)
{
	pid_t child = traced(look_at_cell);
	errno = 0;
	CHECK(ptrace(PTRACE_PEEKDATA, child, &cell, 0) == 4711 && errno == 0);
	CHECK(ptrace(PTRACE_POKEDATA, child, &cell, 815) == 0);
	CHECK(ptrace(PTRACE_PEEKDATA, child, &cell, 0) == 815 && cell == 4711);
	CHECK_ERROR(ptrace(PTRACE_PEEKDATA, child, 16, 0), EIO);
	CHECK_ERROR(ptrace(PTRACE_PEEKDATA, child, 0xfffffff0, 0), EIO);
	CHECK_ERROR(ptrace(PTRACE_POKEDATA, child, 0xfffffff0, 0), EIO);
	CHECK_ERROR(ptrace(PTRACE_PEEKUSER, child, 0, 0), EIO);

	char one[3], two[8] = "";
	struct iovec local[] = { { one, 3 }, { two, 4 } };
	struct iovec remote[] = { { text, 5 }, { text + 5, 2 } };
	CHECK(process_vm_readv(child, local, 2, remote, 2, 0) == 7);
	CHECK(memcmp(one, "tra", 3) == 0 && strcmp(two, "ced\n") == 0);
	struct iovec capitals = { "TRACE", 5 };
	CHECK(process_vm_writev(child, &capitals, 1, remote, 2, 0) == 5);
	/* what can be copied before a bad address counts */
	struct iovec bad[] = { { text, 2 }, { (void *)0xfffffff0, 4 } };
	CHECK(process_vm_readv(child, local, 2, bad, 2, 0) == 2);
	CHECK_ERROR(process_vm_readv(child, local, 2, bad + 1, 1, 0), EFAULT);
	CHECK_ERROR(process_vm_readv(child, local, 2, remote, 2, 1), EINVAL);
	CHECK_ERROR(process_vm_readv(999999, local, 2, remote, 2, 0), ESRCH);

	char path[40];
	int word = 0;
	snprintf(path, sizeof path, "/proc/%d/mem", child);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, &word, sizeof word, (uintptr_t)&cell) == sizeof word && word == 815);
	close(fd);
	GO(PTRACE_CONT, child, 0);
	EXITED(child, 5);
}

static void stay(void)
{
	raise(SIGSTOP);
	_exit(cell == 815 ? 5 : 6);
}

/*
 * More processes than memories were ready when this one began: it has not been told of the last ones, and gets at them by
 * another way than at the first.
 */
static void test_many_memories(void)
{
	enum { MANY = 20 };
	pid_t children[MANY];
	static char copy[3 * 65536], large[sizeof copy];
	memset(large, 'l', sizeof large);
	for (int i = 0; i < MANY; i++) {
		children[i] = traced(stay);
		GO(PTRACE_CONT, children[i], 0);
		STOPPED(children[i], SIGSTOP);
	}
	for (int i = 0; i < MANY; i++) {
		CHECK(ptrace(PTRACE_PEEKDATA, children[i], &cell, 0) == 4711);
		CHECK(ptrace(PTRACE_POKEDATA, children[i], &cell, 815) == 0);
		CHECK_ERROR(ptrace(PTRACE_PEEKDATA, children[i], 16, 0), EIO);
		CHECK_ERROR(ptrace(PTRACE_PEEKDATA, children[i], 0xfffffff0, 0), EIO);
		struct iovec local = { copy, sizeof copy }, remote = { large, sizeof large };
		memset(copy, 0, sizeof copy);
		CHECK(process_vm_readv(children[i], &local, 1, &remote, 1, 0) == sizeof copy);
		CHECK(memcmp(copy, large, sizeof copy) == 0);
		GO(PTRACE_CONT, children[i], 0);
		EXITED(children[i], 5);
	}
}

/* ---- signals ---- */

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

static void test_signals(void)
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

static void test_traps(void)
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

/* ---- events ---- */

static void fork_and_exec(void)
{
	pid_t child = fork();
	if (child == 0) _exit(21);
	waitpid(child, &status, 0);
	execl("/proc/self/exe", "ptrace", "exit", (char *)0);
	_exit(1);
}

static void test_events(void)
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

static void test_other_events(void)
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

static void fork_not(void)
{
	pid_t child = fork();
	_exit(child == getpid() ? 24 : 25);
}

/* A tracer that makes another call of a fork. */
static void test_fork_changed(void)
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

/* ---- attaching and stops ---- */

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

static void test_attach(void)
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

static void test_seize(void)
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
static void test_spinner(void)
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
static void test_end_of_tracer(void)
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

/* ---- what is near ---- */

static atomic_int flag;
static void *send_and_tell(void *main_thread)
{
	pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
	flag = 1;
	return 0;
}

/* A call of the number that means "no call" to the kernel, with a signal pending. */
static void test_no_number(void)
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

int main(int argc, char **argv)
{
	if (argc > 1) return 22;
	test_calls();
	test_changes();
	test_emulation();
	test_memory();
	test_many_memories();
	test_signals();
	test_traps();
	test_events();
	test_other_events();
	test_fork_changed();
	test_attach();
	test_seize();
	test_spinner();
	test_end_of_tracer();
	test_no_number();
	printf("%s\n", failures ? "ptrace failed" : "ptrace as it should be");
	return failures != 0;
}
