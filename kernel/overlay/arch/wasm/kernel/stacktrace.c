// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stack traces: of the current task, of tasks that sleep, and /proc/PID/wchan.
 *
 * Code cannot walk a wasm stack. The engine tells a worker about its own stack
 * as text, and tells nobody about another worker's. So there are two ways to
 * learn where another task sleeps. The kernel can wake that task's worker,
 * which answers and sleeps on (wchan). Or, with "sleep_traces" on the command
 * line, each worker writes its trace down before it sleeps: that is for
 * show_stack(), which cannot wait, and for the host.
 *
 * kernel/model/cpu-token.pml models this file.
 */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>
#include <asm/wchan.h>
#include "internal.h"

#define TRACE_SIZE	2048
/* trace_request is the address of the worker that is asked, or one of these. */
#define TRACE_NONE	0U
#define TRACE_BEGUN	1U
#define TRACE_DONE	2U

/*
 * Held by a task that asks for a trace; trace_request and trace_text are its.
 */
static DEFINE_MUTEX(trace_lock);
static u32 trace_request;
static char trace_text[TRACE_SIZE];

static void write_trace(char *text)
{
	text[engine_backtrace(text, TRACE_SIZE - 1)] = '\0';
}

/*
 * Called by a worker that waits for a CPU and was woken with AUKLET_WAKE_TRACE.
 * It does nothing if the worker is not asked any more. The wake-up may also be
 * lost, if the task is woken at the same time.
 */
void wasm_answer_trace_request(const struct auklet_worker *worker)
{
	if (!word_replace(&trace_request, (u32)worker, TRACE_BEGUN))
		return;
	write_trace(trace_text);
	word_store(&trace_request, TRACE_DONE);
}

static char (*sleep_traces)[TRACE_SIZE];
static bool keep_sleep_traces __initdata;

static int __init want_sleep_traces(char *unused)
{
	keep_sleep_traces = true;
	return 0;
}
early_param("sleep_traces", want_sleep_traces);

static int __init allocate_sleep_traces(void)
{
	if (keep_sleep_traces)
		sleep_traces = vzalloc(sizeof(*sleep_traces) * AUKLET_MAX_WORKERS);
	auklet_machine.sleep_trace_size = TRACE_SIZE;
	auklet_machine.sleep_traces = (u32)sleep_traces;
	return 0;
}
early_initcall(allocate_sleep_traces);

static char *sleep_trace(const struct auklet_worker *worker)
{
	return sleep_traces && worker ? sleep_traces[worker - auklet_machine.worker] : NULL;
}

/* The current task is about to sleep. */
void wasm_note_sleep(const struct auklet_worker *worker)
{
	char *text = sleep_trace(worker);

	if (text)
		write_trace(text);
}

/*
 * Only for kernel threads: the stack of one is suspended and cannot be asked
 * for, so the function of the thread stands for it.
 */
unsigned long __get_wchan(struct task_struct *p)
{
	if (!(p->flags & PF_KTHREAD))
		return 0;
	return (unsigned long)kthread_func(p) ?: (unsigned long)p->thread.fn;
}

/*
 * True if @task still sleeps on its worker as it did when it had @stops
 * switches.
 */
static bool sleeps(const struct task_struct *task, unsigned long stops)
{
	u32 state = READ_ONCE(task->__state);

	return state && !(state & TASK_DEAD) && !READ_ONCE(task->on_rq) && !task->thread.in_user &&
		READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw) == stops;
}

/*
 * Functions that wait as such, not for something: what __sched marks elsewhere.
 */
static bool is_wait_primitive(const char *line)
{
	static const char * const prefixes[] = {
		"__schedule", "schedule", "io_schedule", "do_nanosleep",
		"__mutex_", "mutex_", "ww_mutex_", "rt_mutex_", "__rt_mutex_",
		"rwsem_", "down", "__down", "__wait_for_common", "wait_for_common",
		"wait_for_completion", "bit_wait", "__wait_on_bit",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(line, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/*
 * Finds the function that waits in the text of the engine. Its lines are
 * "FUNCTION+OFFSET" or "FUNCTION@PLACE", the innermost first.
 */
static bool name_of_wait(char *text, char *name, size_t size)
{
	bool in_scheduler = false;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line = skip_spaces(line);
		if (is_wait_primitive(line)) {
			in_scheduler = true;
		} else if (in_scheduler) {
			line[strcspn(line, "+@ ")] = '\0';
			return *line && strscpy(name, line, size) > 0;
		}
	}
	return false;
}

bool arch_wait_channel(struct task_struct *task, char *name, size_t size)
{
	struct auklet_worker *worker = READ_ONCE(task->thread.worker);
	unsigned long stops;
	bool found = false;

	if (!worker || task == current)
		return false;
	/*
	 * A task in arch_poll_before_idle() has not counted this stop yet. It
	 * soon will.
	 */
	while (READ_ONCE(task->__state) && !READ_ONCE(task->on_rq) && READ_ONCE(task->on_cpu) &&
	       !fatal_signal_pending(current))
		usleep_range(50, 200);
	stops = READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
	if (!sleeps(task, stops) || mutex_lock_killable(&trace_lock))
		return false;
	word_store(&trace_request, (u32)worker);
	if (word_replace(&worker->wake, 0, AUKLET_WAKE_TRACE)) {
		futex_wake_word(&worker->wake, 1);
		/*
		 * It answers, unless it has a CPU by now. Without a CPU it can
		 * wake nobody, so this task looks for the answer.
		 */
		while (word_load(&trace_request) == (u32)worker && sleeps(task, stops) &&
		       !fatal_signal_pending(current))
			usleep_range(50, 200);
	}
	if (!word_replace(&trace_request, (u32)worker, TRACE_NONE)) {
		/*
		 * The answer has begun, and will end: nothing stops a worker in
		 * the kernel.
		 */
		while (word_load(&trace_request) != TRACE_DONE)
			usleep_range(50, 200);
		found = sleeps(task, stops) && READ_ONCE(task->thread.worker) == worker &&
			name_of_wait(trace_text, name, size);
	}
	mutex_unlock(&trace_lock);
	return found;
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
	if (regs && regs->syscall_nr != WASM_NO_SYSCALL)
		printk(KERN_DEFAULT "system call %u (%x %x %x %x %x %x) = %d\n",
		       regs->syscall_nr, regs->args[0], regs->args[1], regs->args[2],
		       regs->args[3], regs->args[4], regs->args[5], regs->result);
}

void show_stack(struct task_struct *task, unsigned long *sp, const char *loglvl)
{
	static char text[4096];
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;
	char *line, *rest, *kept;
	int length;

	spin_lock_irqsave(&lock, flags);
	if (task && task != current) {
		kept = sleep_trace(task->thread.worker);
		strscpy(text, kept ?: "(on another worker; boot with sleep_traces to see it)",
			sizeof(text));
	} else {
		length = engine_backtrace(text, sizeof(text) - 1);
		text[clamp_t(int, length, 0, sizeof(text) - 1)] = '\0';
	}
	printk("%sCall trace:\n", loglvl);
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printk("%s %s\n", loglvl, line);
	spin_unlock_irqrestore(&lock, flags);
}

/* There is no stack that this could walk; show_stack() asks the engine. */
void arch_stack_walk(stack_trace_consume_fn consume_entry, void *cookie,
		     struct task_struct *task, struct pt_regs *regs)
{
}
