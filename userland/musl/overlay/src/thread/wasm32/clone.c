// SPDX-License-Identifier: MIT
// Makes a task that shares this memory. The task starts in __clone_start(), in
// an instance of its own.
#include <stdarg.h>
#include "pthread_impl.h"
#include "syscall.h"
#include "callback.h"

struct start {
	int (*function)(void *);
	void *argument;
};

int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	va_list ap;
	va_start(ap, argument);
	pid_t *parent_tid = va_arg(ap, pid_t *);
	void *tls = va_arg(ap, void *);
	pid_t *child_tid = va_arg(ap, pid_t *);
	va_end(ap);

	if (!function || !stack) return -EINVAL;
	struct start *start = (void *)(((uintptr_t)stack & -16) - 16);
	start->function = function;
	start->argument = argument;
	return __syscall(SYS_clone, flags, start, parent_tid, tls, child_tid);
}

__attribute__((__export_name__("__clone_start")))
void __clone_start(struct start *start)
{
	int status = CALLBACK1(WORD_1, start->function, start->argument);
	for (;;) __syscall(SYS_exit, status);
}
