// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock source is the machine's monotonic clock. A clock event is a
 * deadline, until which the CPU's own worker sleeps.
 *
 * kernel/model/cpu-token.pml models parts of this file.
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kvm_para.h>
#include <linux/nmi.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>

/* engine_now() at the start: sched_clock() begins near 0. */
static u64 boot_time;
/* The latest time that any worker has read. */
static u64 latest;

/*
 * If nobody has read the clock for this long, the machine may have been
 * stopped. An idle machine does not read it either. But it does no harm to
 * forgive a pause that was none.
 */
#define PAUSE_NS	(2ULL * NSEC_PER_SEC)
/* A complaint that comes this long after a pause has another reason. */
#define FORGIVEN_NS	(30ULL * NSEC_PER_SEC)

static u64 now(void);

/* The first reading after a pause. 0: there was none, or it was forgiven. */
static u64 pause_end;

/*
 * The engine's process was stopped, or the computer slept and the engine's
 * clock counted that. Note it before the new time is published, since that
 * moves jiffies: those who then find a CPU late must find the pause noted.
 */
static noinline void note_pause(u64 time)
{
	reset_hung_task_detector();
	__atomic_store_n(&pause_end, time, __ATOMIC_SEQ_CST);
}

/*
 * The kernel's watchdogs ask this before they complain that a CPU, a grace
 * period or a work queue makes no progress. True means that the machine was
 * stopped, so nothing could.
 */
bool kvm_check_and_clear_guest_paused(void)
{
	u64 end = __atomic_exchange_n(&pause_end, 0, __ATOMIC_SEQ_CST);

	if (!end || now() - end > FORGIVEN_NS)
		return false;
	touch_softlockup_watchdog_sync();
	wq_watchdog_touch(-1);
	rcu_cpu_stall_reset();
	return true;
}

/*
 * Each worker reads a clock of its own. A message to the host and its answer
 * bound how far that clock is from the host's (web/src/guest/clock.ts). Mostly
 * the difference is exact. But where the wall clock was just set, it may be
 * wrong by the time between question and answer.
 *
 * Time must not run backwards from one worker to the next. So no worker reads
 * less than any has read. While one is ahead, time stands still for the others.
 */
static u64 now(void)
{
	u64 time = engine_now();
	u64 seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST);

	if (unlikely(time > seen && time - seen > PAUSE_NS))
		note_pause(time);
	while (time > seen)
		if (__atomic_compare_exchange_n(&latest, &seen, time, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return time;
	return seen;
}

u64 wasm_clock_now(void)
{
	return now();
}

static u64 clocksource_read(struct clocksource *source)
{
	return now();
}

static struct clocksource host_clocksource = {
	.name	= "host",
	.rating	= 400,
	.read	= clocksource_read,
	.mask	= CLOCKSOURCE_MASK(64),
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
};

unsigned long long notrace sched_clock(void)
{
	return now() - boot_time;
}

void read_persistent_clock64(struct timespec64 *time)
{
	*time = ns_to_timespec64(wasm_wall_clock_at(now()));
}

static DEFINE_PER_CPU(struct clock_event_device, clock_event);

static int clock_event_next(unsigned long delta, struct clock_event_device *device)
{
	unsigned int number = smp_processor_id();
	struct auklet_cpu *cpu = &auklet_machine.cpu[number];
	u64 deadline = engine_now() + delta;

	/*
	 * The CPU's own worker resets armed before it reads the deadline: see
	 * wait_for_interrupt(). So store the deadline before reading armed.
	 */
	__atomic_store_n(&cpu->deadline, deadline, __ATOMIC_SEQ_CST);
	if (!get_wasm_home_cpu() && deadline < __atomic_load_n(&cpu->armed, __ATOMIC_SEQ_CST)) {
		word_or(&cpu->pending, AUKLET_IRQ_REARM);
		futex_wake_word(&cpu->pending, 1);
	}
	return 0;
}

static int clock_event_stop(struct clock_event_device *device)
{
	__atomic_store_n(&auklet_machine.cpu[smp_processor_id()].deadline, AUKLET_NO_DEADLINE,
			 __ATOMIC_SEQ_CST);
	return 0;
}

void wasm_timer_interrupt(void)
{
	struct clock_event_device *device = this_cpu_ptr(&clock_event);

	auklet_machine.cpu[smp_processor_id()].ticks++;
	if (device->event_handler)
		device->event_handler(device);
}

/* Every CPU calls this for itself. */
void wasm_setup_clock_event(void)
{
	unsigned int cpu = smp_processor_id();
	struct clock_event_device *device = &per_cpu(clock_event, cpu);

	device->name = "host";
	device->features = CLOCK_EVT_FEAT_ONESHOT;
	device->rating = 400;
	device->cpumask = cpumask_of(cpu);
	device->set_next_event = clock_event_next;
	device->set_state_shutdown = clock_event_stop;
	clockevents_config_and_register(device, NSEC_PER_SEC, 1000, LONG_MAX);
}

void __init time_init(void)
{
	/* Delays read the clock; there is no loop to calibrate. */
	lpj_fine = NSEC_PER_SEC / HZ;
	clocksource_register_hz(&host_clocksource, NSEC_PER_SEC);
	wasm_setup_clock_event();
}

/* wasm_boot_cpu() calls this early: the log's time stamps begin here. */
void __init wasm_start_clock(void)
{
	boot_time = engine_now();
	latest = boot_time;
}

void __delay(unsigned long nanoseconds)
{
	u64 end = engine_now() + nanoseconds;

	while (engine_now() < end)
		cpu_relax();
}

void __udelay(unsigned long microseconds)
{
	__delay(microseconds * NSEC_PER_USEC);
}

void __ndelay(unsigned long nanoseconds)
{
	__delay(nanoseconds);
}
