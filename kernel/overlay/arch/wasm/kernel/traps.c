// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traps: a program's becomes a signal, the kernel's own is the end.
 *
 * An engine ends wasm code that does what it may not do, and its frames are
 * gone. The worker's base tells the kernel, on an empty stack.
 */
#include <linux/hardirq.h>
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <asm/globals.h>
#include <asm/machine.h>
#include <asm/sigframe.h>
#include "internal.h"

static const struct {
	int signal;
	int code;
	const char *what;
} traps[] = {
	[AUKLET_TRAP_MEMORY]	= { SIGSEGV, SEGV_MAPERR, "memory access out of bounds" },
	[AUKLET_TRAP_UNREACHABLE]	= { SIGILL, ILL_ILLOPC, "unreachable code" },
	[AUKLET_TRAP_DIVISION]	= { SIGFPE, FPE_INTDIV, "division by zero" },
	[AUKLET_TRAP_OVERFLOW]	= { SIGFPE, FPE_INTOVF, "integer overflow" },
	[AUKLET_TRAP_CALL]	= { SIGSEGV, SEGV_MAPERR, "bad indirect call" },
	[AUKLET_TRAP_STACK]	= { SIGSEGV, SEGV_MAPERR, "stack overflow" },
	[AUKLET_TRAP_EXCEPTION]	= { SIGABRT, SI_KERNEL, "uncaught exception" },
	[AUKLET_TRAP_START]	= { SIGSEGV, SEGV_MAPERR, "program cannot start" },
};

static noinline unsigned long deliver_trap(u32 kind, bool can_handle)
{
	struct pt_regs *regs = current_pt_regs();
	unsigned long stack = 1;
	int signal;

	if (kind >= ARRAY_SIZE(traps))
		kind = AUKLET_TRAP_UNREACHABLE;
	signal = traps[kind].signal;
	/* The stub that would have asked for a handler is gone. */
	wasm_forget_taken_signal(current);
	memset(regs, 0, sizeof(*regs));
	regs->user = 1;
	regs->syscall_nr = WASM_NO_SYSCALL;
	regs->result = signal;
	regs->trap = 1;
	if (show_unhandled_signals && unhandled_signal(current, signal))
		pr_info_ratelimited("%s[%d]: %s\n", current->comm, task_pid_nr(current),
				    traps[kind].what);
	if (can_handle)
		force_sig_fault(signal, traps[kind].code, NULL);
	else
		force_fatal_sig(signal);
	wasm_take_signal(regs);
	/*
	 * Without a handler this only returns if a tracer suppressed the
	 * signal. But the program has no frames to go on with.
	 */
	if (!current->thread.signal.taken)
		do_group_exit(signal);
	/*
	 * The program's own stack may have overflowed, so that not even a frame
	 * would fit.
	 */
	if (current->thread.signal.taken->ka.sa.sa_flags & SA_ONSTACK && current->sas_ss_size)
		stack = round_down(current->sas_ss_sp + current->sas_ss_size, 16);
	if ((long)wasm_return_to_user(regs, true) != WASM_SIGNAL_PENDING)
		stack = 0;
	set_wasm_in_kernel(0);
	return stack;
}

/*
 * The program of the current task trapped, and its frames are gone.
 * @can_handle: the program has the function that runs a handler. Returns 0 if
 * no handler is to run; the alternate stack to run it on; or 1 for what is left
 * of the program's own stack. When the handler returns, the task dies.
 */
unsigned long wasm_user_trap(u32 kind, u32 can_handle)
{
	wasm_enter_kernel();
	local_irq_enable();
	return deliver_trap(kind, can_handle);
}

/* The engine writes the text for wasm_kernel_trap() here. */
char wasm_trap_text[AUKLET_TRAP_TEXT_SIZE];

/*
 * Kernel code trapped in this worker; @text is the engine's account of it, in
 * K.
 */
void wasm_kernel_trap(const char *text, u32 length)
{
	set_wasm_irqs_enabled(ARCH_IRQ_DISABLED);
	bust_spinlocks(1);
	pr_emerg("kernel code trapped on CPU %d in %s[%d]\n%.*s\n", raw_smp_processor_id(),
		 current->comm, task_pid_nr(current), (int)length, text);
	bust_spinlocks(0);
	panic("Fatal trap in kernel code");
}
