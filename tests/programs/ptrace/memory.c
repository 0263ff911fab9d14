// SPDX-License-Identifier: MIT
// A tracer reads and writes its tracees' memories.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptrace.h"

static void look_at_cell(void)
{
	getppid();
	_exit(cell == 815 && memcmp(text, "TRACEd\n", 7) == 0 ? 5 : 6);
}

void test_memory(void)
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
void test_many_memories(void)
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
