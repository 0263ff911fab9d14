// SPDX-License-Identifier: MIT
// A thread whose stack pointer comes into the guard below its stack traps, as if it could not be accessed: the compiler wrapper
// makes every other change of the stack pointer, in programs with threads, a call of __set_stack_pointer.
#include "pthread_impl.h"

/* Of the instance, so of the thread. No size: no guard. */
__asm__(
	".globaltype __stack_pointer, i32\n"
	".globaltype __stack_guard, i32\n"
	"__stack_guard:\n"
	".globaltype __stack_guard_size, i32\n"
	"__stack_guard_size:\n"
);

hidden void __set_stack_pointer(uintptr_t sp)
{
	uintptr_t guard, size;

	__asm__ volatile ("global.get __stack_guard\n\tlocal.set %0" : "=r"(guard));
	__asm__ volatile ("global.get __stack_guard_size\n\tlocal.set %0" : "=r"(size));
	/* Beyond every memory: a segmentation fault. */
	if (sp - guard < size)
		__asm__ volatile ("i32.const -1\n\ti32.load8_u 4294967295\n\tdrop");
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_pointer" : : "r"(sp));
}

/* The calling thread's, from now on. The child of a fork has globals of its own. */
void __guard_stack(void)
{
	pthread_t self = __pthread_self();

	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard" : : "r"(self->map_base));
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard_size" : : "r"(self->guard_size));
}
