// SPDX-License-Identifier: MIT
// Ends a detached thread, after it has unmapped its own stack.
#include "pthread_impl.h"
#include "syscall.h"

__attribute__((__import_module__("linux"), __import_name__("syscall")))
long __linux_syscall(long, long, long, long, long, long, long);

/*
 * The arguments are wasm locals, so this uses no stack in memory after the
 * first call. All signals are blocked, so neither call can return to run a
 * handler.
 */
void __unmapself(void *base, size_t size)
{
	__linux_syscall(SYS_munmap, (long)base, size, 0, 0, 0, 0);
	for (;;) __linux_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
}
