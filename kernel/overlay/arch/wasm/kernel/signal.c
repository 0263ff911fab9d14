// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals. A handler runs in the program, called by its own system call stub,
 * so delivery takes two steps: the interrupted call returns WASM_SIGNAL_PENDING
 * with the signal already taken from the queue; the stub then asks for it with
 * wasm_signal_frame(), calls the handler, and ends with rt_sigreturn(), whose
 * result is that of the interrupted call. docs/abi-programs.md, "Signals".
 */
#include <linux/ptrace.h>
#include <linux/resume_user_mode.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/machine.h>
#include <asm/sigframe.h>

/* Say in the log which program died of a trap. */
int show_unhandled_signals = 1;

static bool wants_restart(int result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
	       result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

/*
 * Tells the program's stub of the taken signal; the call in @regs waits for its
 * handler.
 */
void wasm_publish_signal(struct pt_regs *regs)
{
	struct signal_thread *signal = &current->thread.signal;

	if (regs->result == WASM_SIGNAL_PENDING)
		return;
	signal->syscall_nr = regs->syscall_nr;
	memcpy(signal->args, regs->args, sizeof(signal->args));
	signal->result = regs->result;
	signal->trap = regs->trap;
	regs->trap = 0;
	regs->result = WASM_SIGNAL_PENDING;
	clear_thread_flag(TIF_SIGNAL_TAKEN);
}

/*
 * The current task leaves for user mode with a signal pending. May not return.
 */
void wasm_take_signal(struct pt_regs *regs)
{
	struct signal_thread *signal = &current->thread.signal;
	bool in_syscall = regs->syscall_nr != WASM_NO_SYSCALL;
	struct ksignal *taken;

	taken = kzalloc(sizeof(*taken), GFP_KERNEL);
	if (!taken) {
		force_fatal_sig(SIGSEGV);
		return;
	}
	if (get_signal(taken)) {
		signal->taken = taken;
		set_thread_flag(TIF_SIGNAL_TAKEN);
		return;
	}
	kfree(taken);
	/*
	 * No handler: an interrupted call goes on as if nothing had happened.
	 */
	if (in_syscall && wants_restart(regs->result)) {
		if (regs->result == -ERESTART_RESTARTBLOCK) {
			regs->syscall_nr = __NR_restart_syscall;
			memset(regs->args, 0, sizeof(regs->args));
		}
		signal->restart = true;
	}
	restore_saved_sigmask();
}

void wasm_forget_taken_signal(struct task_struct *task)
{
	kfree(task->thread.signal.taken);
	task->thread.signal.taken = NULL;
	clear_tsk_thread_flag(task, TIF_SIGNAL_TAKEN);
}

/* Values of sigcontext.restart. */
enum {
	CONTEXT_RETURNS,
	CONTEXT_RESTARTS,
	CONTEXT_OF_TRAP,
};

/* What the interrupted call's result says of its end. */
static void decide_restart(struct sigcontext *context, const struct ksignal *taken)
{
	switch (context->result) {
	case -ERESTARTNOINTR:
		context->restart = CONTEXT_RESTARTS;
		break;
	case -ERESTARTSYS:
		if (taken->ka.sa.sa_flags & SA_RESTART) {
			context->restart = CONTEXT_RESTARTS;
			break;
		}
		fallthrough;
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		context->result = -EINTR;
		break;
	}
}

static int fill_frame(struct rt_sigframe __user *frame, struct ksignal *taken,
		      struct signal_thread *signal)
{
	struct sigcontext context = {
		.syscall_nr = signal->syscall_nr,
		.result = signal->result,
		.stack_pointer = (unsigned long)frame,
	};
	unsigned long stack = 0;
	int error;

	memcpy(context.args, signal->args, sizeof(context.args));
	if (signal->trap)
		context.restart = CONTEXT_OF_TRAP;
	else
		decide_restart(&context, taken);
	/*
	 * The unwound frames of a fork are gone: the C library calls it again.
	 */
	if (context.restart == CONTEXT_RESTARTS && current->thread.fork_request &&
	    (signal->syscall_nr == __NR_clone || signal->syscall_nr == __NR_clone3)) {
		current->thread.fork_request = false;
		context.restart = CONTEXT_RETURNS;
		context.result = -EINTR;
	}

	if ((taken->ka.sa.sa_flags & SA_ONSTACK) && !sas_ss_flags((unsigned long)frame))
		stack = round_down(current->sas_ss_sp + current->sas_ss_size, 16);
	error = __put_user((u32)taken->ka.sa.sa_handler, &frame->handler);
	error |= __put_user((u32)taken->ka.sa.sa_flags, &frame->flags);
	error |= __put_user((u32)taken->sig, &frame->signo);
	error |= __put_user((u32)stack, &frame->stack);
	error |= copy_siginfo_to_user(&frame->info, &taken->info);
	error |= __put_user(0, &frame->uc.uc_flags);
	error |= __put_user(NULL, &frame->uc.uc_link);
	error |= __save_altstack(&frame->uc.uc_stack, (unsigned long)frame);
	error |= __copy_to_user(&frame->uc.uc_mcontext, &context, sizeof(context));
	error |= __copy_to_user(&frame->uc.uc_sigmask, sigmask_to_save(), sizeof(sigset_t));
	return error;
}

SYSCALL_DEFINE1(wasm_signal_frame, struct rt_sigframe __user *, frame)
{
	struct signal_thread *signal = &current->thread.signal;
	struct ksignal *taken = signal->taken;
	int error;

	if (!taken)
		return 0;
	signal->taken = NULL;
	error = -EFAULT;
	if (access_ok(frame, sizeof(*frame)))
		error = fill_frame(frame, taken, signal);
	signal_setup_done(error, taken, 0);
	kfree(taken);
	return error ? -EFAULT : 1;
}

/*
 * Its argument is the frame; its result is that of the call which the signal
 * interrupted.
 */
SYSCALL_DEFINE0(rt_sigreturn)
{
	struct pt_regs *regs = current_pt_regs();
	struct rt_sigframe __user *frame = (void __user *)regs->args[0];
	struct sigcontext context;
	sigset_t mask;

	current->restart_block.fn = do_no_restart_syscall;
	if (!access_ok(frame, sizeof(*frame)) ||
	    __copy_from_user(&context, &frame->uc.uc_mcontext, sizeof(context)) ||
	    __copy_from_user(&mask, &frame->uc.uc_sigmask, sizeof(mask)) ||
	    restore_altstack(&frame->uc.uc_stack)) {
		force_sig(SIGSEGV);
		return 0;
	}
	set_current_blocked(&mask);
	if (context.restart == CONTEXT_OF_TRAP) {
		/*
		 * After the handler of a trap: what trapped would do so again.
		 * The frame may be forged: 0 is no signal.
		 */
		force_fatal_sig(context.result > 0 && valid_signal(context.result) ?
				context.result : SIGSEGV);
		return 0;
	}
	regs->syscall_nr = context.syscall_nr;
	memcpy(regs->args, context.args, sizeof(regs->args));
	if (context.restart == CONTEXT_RESTARTS && context.syscall_nr != __NR_rt_sigreturn) {
		current->thread.signal.restart = true;
		return 0;
	}
	return context.result;
}
