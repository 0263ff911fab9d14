// SPDX-License-Identifier: MIT
// The system call stub and the delivery of signals (docs/abi-programs.md).
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include "syscall.h"
#include "callback.h"
#include "wasm_signal.h"

/*
 * Agrees with struct rt_sigframe of the kernel's uapi header asm/sigframe.h.
 * The kernel knows only the first 8 bytes of uc_sigmask: musl's sigset_t is
 * longer.
 */
struct rt_sigframe {
	uint32_t handler;
	uint32_t flags;
	uint32_t signo;
	uint32_t stack;
	siginfo_t info;
	ucontext_t uc;
};
_Static_assert(offsetof(struct rt_sigframe, info) == 16, "kernel ABI");
_Static_assert(offsetof(struct rt_sigframe, uc) == 144, "kernel ABI");
_Static_assert(offsetof(struct rt_sigframe, uc.uc_mcontext) == 164, "kernel ABI");
_Static_assert(offsetof(struct rt_sigframe, uc.uc_sigmask) == 232, "kernel ABI");
_Static_assert(sizeof(mcontext_t) == 68, "kernel ABI");

__attribute__((__import_module__("linux"), __import_name__("syscall")))
long __linux_syscall(long, long, long, long, long, long, long);

__asm__(".globaltype __stack_pointer, i32\n");

static uintptr_t get_stack_pointer(void)
{
	uintptr_t sp;
	__asm__ volatile ("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
	return sp;
}

static void set_stack_pointer(uintptr_t sp)
{
	__asm__ volatile ("local.get %0\n\tglobal.set __stack_pointer" : : "r"(sp) : "memory");
}

/*
 * While the handler has the alternate stack, this function must keep no value
 * of its own below the frame on the stack in memory. So it puts the stack
 * pointer back from a wasm local.
 */
static void run_handler(struct rt_sigframe *f)
{
	uintptr_t saved = get_stack_pointer();
	if (f->stack) set_stack_pointer(f->stack & -16);
	CALLBACK3(f->flags & SA_SIGINFO ? VOID_3 : VOID_1, f->handler, f->signo, &f->info, &f->uc);
	set_stack_pointer(saved);
}

/*
 * Runs handlers of pending signals until the interrupted call has its result.
 *
 * A system call that is a cancellation point passes two addresses. musl's
 * cancel_handler takes the program counter @restart_pc for a call that is not
 * done yet, and sets it to @cancel_pc to have the call cancelled. The call is
 * not done yet exactly when the kernel would restart it.
 */
long __wasm_run_signals(uintptr_t restart_pc, uintptr_t cancel_pc)
{
	long r;
	do {
		_Alignas(16) struct rt_sigframe frame;
		if (__linux_syscall(SYS_wasm_signal_frame, (long)&frame, 0, 0, 0, 0, 0) == 1) {
			mcontext_t *mc = &frame.uc.uc_mcontext;
			mc->__pc = mc->__restart ? restart_pc : 0;
			run_handler(&frame);
			if (cancel_pc && mc->__pc == cancel_pc) {
				__linux_syscall(SYS_rt_sigprocmask, SIG_SETMASK,
					(long)&frame.uc.uc_sigmask, 0, _NSIG/8, 0, 0);
				return WASM_CANCELLED;
			}
		}
		r = __linux_syscall(SYS_rt_sigreturn, (long)&frame, 0, 0, 0, 0, 0);
	} while (r == WASM_SIGNAL_PENDING);
	return r;
}

/*
 * The base of the worker calls this after a trap whose signal has a handler. It
 * does not return.
 */
__attribute__((__export_name__("__signal_trap")))
void __wasm_signal_trap(void)
{
	__wasm_run_signals(0, 0);
}

long __wasm_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	long r = __linux_syscall(n, a, b, c, d, e, f);
	if (__builtin_expect(r == WASM_SIGNAL_PENDING, 0)) r = __wasm_run_signals(0, 0);
	return r;
}

long __wasm_syscall_cancellable(uintptr_t restart_pc, uintptr_t cancel_pc,
	long n, long a, long b, long c, long d, long e, long f)
{
	long r = __linux_syscall(n, a, b, c, d, e, f);
	if (__builtin_expect(r == WASM_SIGNAL_PENDING, 0)) r = __wasm_run_signals(restart_pc, cancel_pc);
	return r;
}
