// SPDX-License-Identifier: GPL-2.0-only
/* What ptrace shows of a task: its last system call (uapi/asm/ptrace.h). */
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

static int syscall_regs_get(struct task_struct *task, const struct user_regset *regset,
			    struct membuf to)
{
	struct pt_regs *regs = task_pt_regs(task);
	struct user_regs_struct user = {
		.syscall_nr = regs->syscall_nr,
		.result = regs->result,
		.stack_pointer = task->thread.stack_pointer,
	};

	memcpy(user.args, regs->args, sizeof(user.args));
	return membuf_write(&to, &user, sizeof(user));
}

static int syscall_regs_set(struct task_struct *task, const struct user_regset *regset,
			    unsigned int pos, unsigned int count, const void *kbuf,
			    const void __user *ubuf)
{
	struct pt_regs *regs = task_pt_regs(task);
	struct user_regs_struct user;
	int error;

	memset(&user, 0, sizeof(user));
	user.syscall_nr = regs->syscall_nr;
	memcpy(user.args, regs->args, sizeof(user.args));
	user.result = regs->result;
	error = user_regset_copyin(&pos, &count, &kbuf, &ubuf, &user, 0, sizeof(user));
	if (error)
		return error;
	regs->syscall_nr = user.syscall_nr;
	memcpy(regs->args, user.args, sizeof(regs->args));
	regs->result = user.result;
	return 0;
}

static const struct user_regset regsets[] = {
	{
		.core_note_type	= NT_PRSTATUS,
		.n		= ELF_NGREG,
		.size		= sizeof(elf_greg_t),
		.align		= sizeof(elf_greg_t),
		.regset_get	= syscall_regs_get,
		.set		= syscall_regs_set,
	},
};

static const struct user_regset_view regset_view = {
	.name		= "wasm32",
	.e_machine	= ELF_ARCH,
	.regsets	= regsets,
	.n		= ARRAY_SIZE(regsets),
};

const struct user_regset_view *task_user_regset_view(struct task_struct *task)
{
	return &regset_view;
}

void ptrace_disable(struct task_struct *child)
{
}

long arch_ptrace(struct task_struct *child, long request, unsigned long address, unsigned long data)
{
	return ptrace_request(child, request, address, data);
}
