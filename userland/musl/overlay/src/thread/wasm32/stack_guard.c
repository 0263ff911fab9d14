// SPDX-License-Identifier: MIT
// The guards of stacks. The compiler wrapper turns each change of the stack
// pointer into a call of __set_stack_pointer(), except where a function gives
// back what it took. So a thread traps when its stack pointer comes into the
// guard below its stack, as if the guard could not be accessed. And the kernel
// knows how much of the main stack was never used (docs/abi-programs.md,
// "Memory and start").
#include <sys/resource.h>
#include "pthread_impl.h"
#include "main_stack.h"
#include "syscall.h"

/*
 * What the main stack has from the start, and the least that it gets at a time.
 */
#define FIRST (1024 * 1024)
#define STEP (256 * 1024)

/*
 * The guard of this thread: the globals belong to the thread's instance. A size
 * of 0 means that there is no guard. The main thread's guard is the part of its
 * stack that is not in use.
 */
__asm__(
	".globaltype __stack_pointer, i32\n"
	".globaltype __stack_guard, i32\n"
	"__stack_guard:\n"
	".globaltype __stack_guard_size, i32\n"
	"__stack_guard_size:\n"
);

/*
 * This program has not used its main stack below this address yet. The kernel
 * finds the word by the name.
 */
uintptr_t __stack_limit;

__attribute__((__import_module__("linux"), __import_name__("syscall")))
long __linux_syscall(long, long, long, long, long, long, long);

static inline void guard(uintptr_t start, size_t size)
{
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard" : : "r"(start));
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard_size" : : "r"(size));
}

/*
 * The lowest address that RLIMIT_STACK allows on the main stack, in whole
 * pages.
 */
static uintptr_t lowest(void)
{
	static unsigned long long limit[2];

	/*
	 * This does not use the stub, because that would run signal handlers.
	 * There is no stack for them now.
	 */
	if (__linux_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)limit, 0, 0) || limit[0] >= (uintptr_t)__stack_high)
		return 0;
	return ((uintptr_t)__stack_high - (uintptr_t)limit[0] + 4095) & -4096;
}

static inline _Noreturn void trap(void)
{
	/*
	 * This address is beyond every memory, so it is a segmentation fault.
	 */
	__asm__ volatile ("i32.const -1\n\ti32.load8_u 4294967295\n\tdrop");
	__builtin_unreachable();
}

/*
 * Takes the main stack into use down to sp, and a little more. Returns 0 if
 * that is not allowed. The stack pointer could not be changed yet when this is
 * called, so neither this function nor any that it calls may have a frame in
 * memory.
 */
hidden __attribute__((__noinline__, __cold__)) int __extend_stack(uintptr_t sp)
{
	uintptr_t low = sp > STEP ? (sp - STEP) & -4096 : 0, last;

	/*
	 * The stack may be in use down to sp already: a thread on a piece of
	 * the main stack may not have seen the last change.
	 */
	if (sp < __stack_limit) {
		last = lowest();
		if (low < last) low = last;
		if (low >= __stack_limit || sp < low) return 0;
		/*
		 * An earlier process may have stored here against the rules.
		 * The memory is zero otherwise.
		 */
		__builtin_memset((void *)low, 0, __stack_limit - low);
		__stack_limit = low;
	}
	guard(0, __stack_limit);
	return 1;
}

hidden void __set_stack_pointer(uintptr_t sp)
{
	uintptr_t start, size;

	__asm__ volatile ("global.get __stack_guard\n\tlocal.set %0" : "=r"(start));
	__asm__ volatile ("global.get __stack_guard_size\n\tlocal.set %0" : "=r"(size));
	if (__builtin_expect(sp - start < size, 0)) {
		if (start || !__extend_stack(sp)) trap();
	}
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_pointer" : : "r"(sp));
}

/*
 * Gives the calling thread its guard. The child of a fork needs that too,
 * because it has globals of its own.
 */
hidden void __guard_stack(void)
{
	pthread_t self = __pthread_self();

	if (self->map_base) guard((uintptr_t)self->map_base, self->guard_size);
	else guard(0, __stack_limit);
}

/*
 * Gives the main thread its first stack and guard, at the start of the program.
 */
hidden void __start_stack(void)
{
	if (__stack_high - __stack_low > FIRST) __stack_limit = (uintptr_t)__stack_high - FIRST;
	guard(0, __stack_limit);
}
