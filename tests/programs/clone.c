// SPDX-License-Identifier: MIT
// clone and clone3 without CLONE_VM: as raw calls that return twice, and by the function of the C library.
#define _GNU_SOURCE
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "check.h"

static int mine = 1;

static int ended_with(pid_t child)
{
	int status = -1;
	if (waitpid(child, &status, __WALL) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static long clone3(struct clone_args *arguments)
{
	return syscall(SYS_clone3, arguments, sizeof *arguments);
}

/* Calls itself until the frames no longer fit a page, so that both sides return through all of them. */
__attribute__((noinline)) static int deep(int levels, struct clone_args *arguments, pid_t *child)
{
	volatile int here = levels;
	if (levels == 0) *child = clone3(arguments);
	else if (deep(levels - 1, arguments, child) != levels - 1) return -1;
	return here;
}

static void test_clone3(void)
{
	int pidfd = -1, parent_tid = -1, child_tid = -1, status;
	struct clone_args arguments = {
		.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
		.pidfd = (uintptr_t)&pidfd,
		.parent_tid = (uintptr_t)&parent_tid,
		.child_tid = (uintptr_t)&child_tid,
		.exit_signal = SIGCHLD,
	};
	pid_t child = -1;

	int levels = deep(100, &arguments, &child);
	if (child == 0) {
		mine = 2;
		_exit(levels == 100 && child_tid == syscall(SYS_gettid) && child_tid == getpid() ? 5 : 6);
	}
	CHECK(levels == 100);
	CHECK(child > 0);
	CHECK(parent_tid == child);
	CHECK(child_tid == -1);
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	siginfo_t info = { 0 };
	CHECK(waitid(P_PIDFD, pidfd, &info, WEXITED) == 0);
	CHECK(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 5);
	CHECK(mine == 1);
	close(pidfd);

	/* a process without an exit signal is only waited for by who asks for it */
	arguments = (struct clone_args){ 0 };
	child = clone3(&arguments);
	if (child == 0) _exit(7);
	CHECK_ERROR(waitpid(child, &status, 0), ECHILD);
	CHECK(ended_with(child) == 7);

	/* a number of its own, in a PID namespace of its own */
	pid_t numbers[] = { 42 };
	arguments = (struct clone_args){
		.flags = CLONE_NEWPID, .exit_signal = SIGCHLD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1,
	};
	CHECK_ERROR(clone3(&arguments), EINVAL);	/* there must be a first process */
	numbers[0] = 1;
	child = clone3(&arguments);
	if (child == 0) _exit(getpid() == 1 ? 8 : 9);
	CHECK(ended_with(child) == 8);

	/* the parent waits for one that is like vfork's */
	int pipe_ends[2];
	char byte;
	pipe(pipe_ends);
	fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
	arguments = (struct clone_args){ .flags = CLONE_VFORK, .exit_signal = SIGCHLD };
	child = clone3(&arguments);
	if (child == 0) {
		usleep(20000);
		write(pipe_ends[1], "x", 1);
		_exit(0);
	}
	CHECK(read(pipe_ends[0], &byte, 1) == 1);
	CHECK(ended_with(child) == 0);

	/* shared descriptors, and shared memory, which needs a stack */
	arguments = (struct clone_args){ .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	child = clone3(&arguments);
	if (child == 0) _exit(close(pipe_ends[0]));
	CHECK(ended_with(child) == 0);
	CHECK_ERROR(close(pipe_ends[0]), EBADF);
	close(pipe_ends[1]);
	arguments.flags = CLONE_VM;
	CHECK_ERROR(clone3(&arguments), EINVAL);
	arguments = (struct clone_args){ .exit_signal = 1000 };
	CHECK_ERROR(clone3(&arguments), EINVAL);
	CHECK_ERROR(syscall(SYS_clone3, 1, sizeof arguments), EFAULT);
	CHECK_ERROR(syscall(SYS_clone3, &arguments, 8), EINVAL);
}

static void test_clone_call(void)
{
	pid_t parent_tid = -1;
	pid_t child = syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, &parent_tid, 0, 0);
	if (child == 0) {
		mine = 3;
		_exit(3);
	}
	CHECK(parent_tid == child);
	CHECK(ended_with(child) == 3);
	child = syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) _exit(4);
	CHECK(ended_with(child) == 4);
	char stack[1024];
	CHECK_ERROR(syscall(SYS_clone, SIGCHLD, stack + sizeof stack, 0, 0, 0), EINVAL);
	CHECK(mine == 1);
}

static int in_child(void *argument)
{
	mine = 4;
	return *(int *)argument + (getpid() == syscall(SYS_getpid));
}

static int exits(void *argument)
{
	exit(*(int *)argument);
}

static void test_clone_function(void)
{
	static char stack[16384];
	int status = 10, pidfd = -1;
	pid_t child = clone(in_child, stack + sizeof stack, SIGCHLD, &status);
	CHECK(ended_with(child) == 11);
	child = clone(exits, stack + sizeof stack, CLONE_PIDFD | SIGCHLD, &status, &pidfd);
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	CHECK(ended_with(child) == 10);
	child = clone(in_child, stack + sizeof stack, CLONE_NEWPID | CLONE_NEWUTS | SIGCHLD, &status);
	CHECK(ended_with(child) == 11);
	CHECK_ERROR(clone(in_child, 0, SIGCHLD, &status), EINVAL);
	CHECK(mine == 1);
	/* with the same memory */
	child = clone(in_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &status);
	CHECK(ended_with(child) == 11);
	CHECK(mine == 4);
}

static volatile int handled;
static pthread_t main_thread;
static atomic_int wanted, sent;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

static void *sender(void *rounds)
{
	for (int round = 1; round <= *(int *)rounds; round++) {
		while (wanted != round) sched_yield();
		pthread_kill(main_thread, SIGUSR1);
		sent = round;
	}
	return 0;
}

/*
 * A signal that arrives while this code makes no call is pending when the next one begins. No child is made before the
 * handler has run: the call is made again, whether or not the handler wants that of calls.
 */
static void test_signals(void)
{
	int rounds = 40;
	pthread_t thread;
	main_thread = pthread_self();
	pthread_create(&thread, 0, sender, &rounds);
	for (int round = 1; round <= rounds; round++) {
		struct clone_args arguments = { .exit_signal = SIGCHLD };
		struct sigaction action = { .sa_handler = handler, .sa_flags = round & 1 ? SA_RESTART : 0 };
		sigaction(SIGUSR1, &action, 0);
		wanted = round;
		while (sent != round) {}
		int before = handled;
		pid_t child = round % 4 < 2 ? clone3(&arguments) : round % 8 < 4 ? fork() : syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (child == 0) _exit(handled == round ? round : 0);
		CHECK(before == round - 1 && handled == round);
		CHECK(ended_with(child) == round);
	}
	pthread_join(thread, 0);
}

int main(void)
{
	test_clone3();
	test_clone_call();
	test_signals();
	fflush(stdout);
	test_clone_function();
	puts("clone");
	return failures != 0;
}
