// SPDX-License-Identifier: MIT
// A system call that is a cancellation point.
#include "pthread_impl.h"
#include "syscall.h"
#include "wasm_signal.h"

hidden long __cancel(void);
hidden long __syscall_cp_asm(volatile void *, syscall_arg_t,
	syscall_arg_t, syscall_arg_t, syscall_arg_t,
	syscall_arg_t, syscall_arg_t, syscall_arg_t);

/*
 * On other machines these are addresses of instructions around the system call,
 * which a signal handler compares with the interrupted program counter. Here a
 * signal arrives only inside the call, so they are no more than three addresses
 * in this order.
 */
__asm__(
	".section .rodata.__cp,\"\",@\n"
	".globl __cp_begin\n.hidden __cp_begin\n.globl __cp_end\n.hidden __cp_end\n"
	".globl __cp_cancel\n.hidden __cp_cancel\n"
	"__cp_begin:\n\t.int8 0\n.size __cp_begin, 1\n"
	"__cp_end:\n\t.int8 0\n.size __cp_end, 1\n"
	"__cp_cancel:\n\t.int8 0\n.size __cp_cancel, 1\n"
);
extern hidden const char __cp_begin[1], __cp_cancel[1];

long __syscall_cp_asm(volatile void *cancel, syscall_arg_t n,
	syscall_arg_t a, syscall_arg_t b, syscall_arg_t c,
	syscall_arg_t d, syscall_arg_t e, syscall_arg_t f)
{
	if (*(volatile int *)cancel) return __cancel();
	long r = __wasm_syscall_cancellable((uintptr_t)__cp_begin, (uintptr_t)__cp_cancel,
		n, a, b, c, d, e, f);
	if (r == WASM_CANCELLED) r = __cancel();
	return r;
}
