// SPDX-License-Identifier: MIT
// The compiler wrapper makes every change of the stack pointer that is not its restoration a call of __set_stack_pointer. So a thread
// whose stack pointer comes into the guard below its stack traps, as if it could not be accessed, and the kernel knows how much of
// the main stack was never used (docs/abi-programs.md, "Memory and start").
#include <sys/resource.h>
#include "pthread_impl.h"
#include "main_stack.h"
#include "syscall.h"

/* What the main stack has from the start, and is given at a time. */
#define FIRST (1024 * 1024)
#define STEP (256 * 1024)

/* Of the instance, so of the thread. No size: no guard. The main thread's is what is not in use of its stack. */
__asm__(
	".globaltype __stack_pointer, i32\n"
	".globaltype __stack_guard, i32\n"
	"__stack_guard:\n"
	".globaltype __stack_guard_size, i32\n"
	"__stack_guard_size:\n"
);

/* Below it the main stack was not used yet, by this program. The kernel finds the word by the name. */
uintptr_t __stack_limit;

__attribute__((__import_module__("linux"), __import_name__("syscall")))
long __linux_syscall(long, long, long, long, long, long, long);

static inline void guard(uintptr_t start, size_t size)
{
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard" : : "r"(start));
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_guard_size" : : "r"(size));
}

/* As much of the main stack as RLIMIT_STACK allows, whole pages. */
static uintptr_t lowest(void)
{
	static unsigned long long limit[2];

	/* Not by the stub, which would run signal handlers: there is no stack for them now. */
	if (__linux_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)limit, 0, 0) || limit[0] >= (uintptr_t)__stack_high)
		return 0;
	return ((uintptr_t)__stack_high - (uintptr_t)limit[0] + 4095) & -4096;
}

static inline _Noreturn void trap(void)
{
	/* Beyond every memory: a segmentation fault. */
	__asm__ volatile ("i32.const -1\n\ti32.load8_u 4294967295\n\tdrop");
	__builtin_unreachable();
}

/*
 * The main stack down to sp is in use from now on, and something more. False if that is not allowed. This is called where the stack pointer
 * could not be changed yet, so neither this nor what it calls may have a frame.
 */
hidden __attribute__((__noinline__, __cold__)) int __extend_stack(uintptr_t sp)
{
	uintptr_t low = sp > STEP ? (sp - STEP) & -4096 : 0, last;

	/* Another thread on a piece of the main stack may not have seen the last change. */
	if (sp < __stack_limit) {
		last = lowest();
		if (low < last) low = last;
		if (low >= __stack_limit || sp < low) return 0;
		/* It is zero, but for what an earlier process may have stored there against the rules. */
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

/* The calling thread's, from now on. The child of a fork has globals of its own. */
hidden void __guard_stack(void)
{
	pthread_t self = __pthread_self();

	if (self->map_base) guard((uintptr_t)self->map_base, self->guard_size);
	else guard(0, __stack_limit);
}

/* The program begins. */
hidden void __start_stack(void)
{
	if (__stack_high - __stack_low > FIRST) __stack_limit = (uintptr_t)__stack_high - FIRST;
	guard(0, __stack_limit);
}
