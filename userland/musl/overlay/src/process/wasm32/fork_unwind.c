// SPDX-License-Identifier: MIT
// fork, and clone and clone3 that return twice: the program unwinds into a buffer, and both processes rewind from it.
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include "pthread_impl.h"
#include "syscall.h"
#include "wasm_signal.h"
#include "main_stack.h"

/* Asyncify's data structure, which stores upwards from start and traps beyond end, and the system call to make. */
struct unwind_buffer {
	uint32_t start, end;
	uint32_t number, arguments[5];
};

/* About 28 bytes are needed for a frame, so this is enough for several hundred. */
#define MIN_BUFFER 16384
#define MAPPED_BUFFER (512 * 1024)

__attribute__((__import_module__("linux"), __import_name__("fork")))
long __linux_fork(struct unwind_buffer *);

__asm__(".globaltype __stack_pointer, i32\n");

/*
 * Lowest usable address of the stack that holds sp, or 0 if we know nothing of it.
 * The main stack begins at address 0, which is nobody's buffer.
 */
static uintptr_t stack_bottom(uintptr_t sp)
{
	pthread_t self = __pthread_self();
	if (sp > (uintptr_t)__stack_low && sp <= (uintptr_t)__stack_high) {
		/* The deeper the stack, the more frames. */
		uintptr_t room = MIN_BUFFER + 2 * ((uintptr_t)__stack_high - sp);
		if (sp - __stack_limit < room && __stack_limit)
			__extend_stack(sp > room ? sp - room : 16);
		return __stack_limit + 16;
	}
	uintptr_t top = (uintptr_t)self->stack;
	if (top && sp <= top && sp > top - self->stack_size)
		return top - self->stack_size;
	return 0;
}

/*
 * While the program is unwound nothing runs on its stack, so all that is left of
 * it can hold the frames. On a stack without room (a small thread stack, an
 * alternate signal stack) they go to a mapping; the child gets a copy of it at the
 * same address, so both sides drop it.
 */
long __wasm_fork(long number, long a, long b, long c, long d, long e)
{
	uintptr_t sp, bottom;
	__asm__ volatile ("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
	bottom = stack_bottom(sp) + 15 & -16;

	struct unwind_buffer *buffer = (void *)bottom, *mapped = 0;
	uintptr_t end = sp & -16;
	if (!bottom || end < bottom + MIN_BUFFER) {
		long r = __syscall(SYS_mmap2, 0, MAPPED_BUFFER, PROT_READ|PROT_WRITE,
			MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
		if ((unsigned long)r > -4096UL) return -ENOMEM;
		buffer = mapped = (void *)r;
		end = (uintptr_t)r + MAPPED_BUFFER;
	}

	long r;
	do {
		buffer->start = (uintptr_t)(buffer + 1);
		buffer->end = end;
		buffer->number = number;
		buffer->arguments[0] = a;
		buffer->arguments[1] = b;
		buffer->arguments[2] = c;
		buffer->arguments[3] = d;
		buffer->arguments[4] = e;
		r = __linux_fork(buffer);
		if (r == WASM_SIGNAL_PENDING) r = __wasm_run_signals(0, 0);
		/* A handler ran before the child was made. The kernel cannot restart the call, because the frames are gone. */
	} while (r == -EINTR);
	if (!r) __guard_stack();
	if (mapped) __syscall(SYS_munmap, mapped, MAPPED_BUFFER);
	return r;
}

/*
 * What <unistd.h> makes of syscall() where the number is known to be one that returns twice: so a program that
 * calls it for anything else need not be able to unwind.
 */
long __syscall_fork(long number, ...)
{
	va_list ap;
	long a, b, c, d, e;

	va_start(ap, number);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	va_end(ap);
	return __syscall_ret(__wasm_fork(number, a, b, c, d, e));
}
