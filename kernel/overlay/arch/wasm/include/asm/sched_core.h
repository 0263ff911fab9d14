/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of kernel/sched/core.c, which includes this where it needs it: how a
 * task is woken that waits before its CPU is idle (kernel/short_stop.c).
 */

/*
 * @p is on_cpu, because its CPU polls before it goes idle (poll_before_idle()):
 * it becomes runnable there.
 */
static bool ttwu_polling(struct task_struct *p, int wake_flags)
{
	struct rq *rq = task_rq(p);

	if (!READ_ONCE(rq->polling))
		return false;
	scoped_guard (rq_lock, rq) {
		if (!rq->polling || rq->curr != p)
			return false;
		update_rq_clock(rq);
		/* Its sleep is not its execution. */
		p->se.exec_start = rq_clock_task(rq);
		ttwu_do_activate(rq, p, wake_flags, &scope.rf);
	}
	arch_end_poll(p);
	return true;
}

/*
 * Two tasks that take turns need one CPU. @p, which did not wait, comes to that
 * of its waker, who is about to sleep.
 */
static bool ttwu_joins(struct task_struct *p, int *wake_flags)
{
	if (!(*wake_flags & WF_SYNC) || this_rq()->nr_running != 1 || !arch_joins(p))
		return false;
	*wake_flags |= WF_CURRENT_CPU;
	return true;
}
