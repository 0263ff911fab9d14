// SPDX-License-Identifier: MIT
// fork, and the forms of clone and clone3 that return twice. The program
// unwinds into a buffer, and both processes rewind from it.
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include "pthread_impl.h"
#include "syscall.h"
#include "wasm_signal.h"
#include "main_stack.h"

/*
 * Asyncify's data structure, followed by the system call to make. Asyncify
 * stores frames upwards from start, and traps beyond end.
 */
struct unwind_buffer {
	uint32_t start, end;
	uint32_t number, arguments[5];
};

/*
 * A frame needs about 28 bytes, so this is enough for several hundred frames.
 */
#define MIN_BUFFER 16384
#define MAPPED_BUFFER (512 * 1024)

__attribute__((__import_module__("linux"), __import_name__("fork")))
long __linux_fork(struct unwind_buffer *);

__asm__(".globaltype __stack_pointer, i32\n");

/*
 * The lowest usable address of the stack that holds sp, or 0 if that stack is
 * not known. The main stack begins at address 0, which cannot be a buffer's.
 */
static uintptr_t stack_bottom(uintptr_t sp)
{
	pthread_t self = __pthread_self();
	if (sp > (uintptr_t)__stack_low && sp <= (uintptr_t)__stack_high) {
		/* A deeper stack has more frames, which need more room. */
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
 * Nothing runs on the program's stack while the program is unwound, so the
 * unused rest of the stack can hold the frames. If the rest is too small (a
 * small thread stack, an alternate signal stack), the frames go to a mapping.
 * The child gets a copy of the mapping at the same address, so both processes
 * unmap it.
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
		/*
		 * -EINTR: a handler ran before the child was made. The kernel
		 * cannot restart the call, because the frames are gone.
		 */
	} while (r == -EINTR);
	if (!r) __guard_stack();
	if (mapped) __syscall(SYS_munmap, mapped, MAPPED_BUFFER);
	return r;
}

/*
 * <unistd.h> makes this of a syscall() whose number is a constant, and that of
 * a call that returns twice. So a program that calls syscall() only for other
 * things need not be able to unwind.
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
