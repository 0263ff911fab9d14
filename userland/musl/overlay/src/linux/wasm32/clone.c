// SPDX-License-Identifier: MIT
// Upstream's clone(). The child calls the function by its type (callback.h). A
// clone without CLONE_VM is a fork, which unwinds the program.
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>
#include "pthread_impl.h"
#include "syscall.h"
#include "callback.h"

static int clone_start(void *);

/*
 * The child's frames are on a copy of the caller's stack, so the child does not
 * use the stack that the caller gives it.
 */
static int clone_by_fork(int flags, void *argument, pid_t *ptid, void *tls, pid_t *ctid)
{
	int ret = __wasm_fork(SYS_clone, flags, 0, (long)ptid, (long)tls, (long)ctid);
	if (!ret) __syscall(SYS_exit, clone_start(argument));
	return ret;
}

/* Upstream has a child without CLONE_VM call clone_start, so the fork does. */
#define __clone(function, stack, flags, argument, ...) \
	((flags) & CLONE_VM ? __clone(function, stack, flags, argument, __VA_ARGS__) \
		: clone_by_fork(flags, argument, __VA_ARGS__))
/* Upstream calls a member, so this text follows "csa->". */
#define func(argument) func ? CALLBACK1(WORD_1, csa->func, argument) : 0

#include "../clone.c"
