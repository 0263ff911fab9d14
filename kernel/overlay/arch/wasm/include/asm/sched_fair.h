/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of kernel/sched/fair.c, which includes this where it needs it: a CPU
 * waits before it is idle (kernel/short_stop.c).
 */

/*
 * A switch to the idle task and back wakes two threads of the computer. So a
 * task that will probably be woken soon waits for that here, still current and
 * on_cpu, and ttwu_polling() puts it back. That is the only thing that may
 * become of it: what else concerns this CPU ends the wait. True: there is a
 * task to pick.
 */
static bool poll_before_idle(struct rq *rq, struct rq_flags *rf)
{
	struct task_struct *curr = rq->curr;

	if (curr->sched_class != &fair_sched_class || READ_ONCE(curr->__state) == TASK_DEAD ||
	    !cpu_active(rq->cpu) || !arch_polls_before_idle())
		return false;
	rq->polling = true;
	rq_unpin_lock(rq, rf);
	raw_spin_rq_unlock(rq);
	arch_poll_before_idle(&rq->nr_running);
	raw_spin_rq_lock(rq);
	rq_repin_lock(rq, rf);
	rq->polling = false;
	update_rq_clock(rq);
	return rq->nr_running;
}
