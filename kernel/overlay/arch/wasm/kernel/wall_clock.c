// SPDX-License-Identifier: GPL-2.0-only
/*
 * CLOCK_REALTIME follows the computer's wall clock, as that of a resumed
 * virtual machine does.
 *
 * The machine's monotonic clock may stand still while the computer sleeps, and
 * corrections of the wall clock do not move it. So the host tells the kernel
 * how far the wall clock is from it, and tells it again when that changes. The
 * kernel takes over only the change. So a user who has set the guest's clock
 * keeps the difference.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/processor.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/timex.h>
#include <linux/workqueue.h>
#include <asm/machine.h>

/*
 * A smaller change is a correction, as by NTP: the clock runs faster or slower
 * for a while.
 */
#define LEAP_NS		(500 * NSEC_PER_MSEC)

/* The offset of the host that CLOCK_REALTIME has taken over. */
static s64 followed;

static s64 read_wall_offset(void)
{
	u32 sequence;
	s64 offset;

	do {
		while ((sequence = word_load(&auklet_machine.wall_sequence)) & 1)
			cpu_relax();
		offset = READ_ONCE(auklet_machine.wall_offset);
	} while (word_load(&auklet_machine.wall_sequence) != sequence);
	return offset;
}

/* The kernel calls this when it sets its clocks at the start. */
u64 wasm_wall_clock_at(u64 monotonic)
{
	followed = read_wall_offset();
	return monotonic + followed;
}

/*
 * Returns what is left of the last adjtime(), in microseconds. With @set it
 * also begins another one, of @value.
 */
static long adjust(bool set, long value)
{
	struct __kernel_timex adjustment = {
		.modes = ADJ_ADJTIME | ADJ_OFFSET_SINGLESHOT | (set ? 0 : ADJ_OFFSET_READONLY),
		.offset = value,
	};
	int error = do_adjtimex(&adjustment);

	if (error < 0)
		pr_warn_ratelimited("the clock cannot be adjusted (%d)\n", error);
	return adjustment.offset;
}

static void leap(s64 change)
{
	struct __kernel_timex backward = { .modes = ADJ_SETOFFSET };
	struct timespec64 length = ns_to_timespec64(change);
	int error;

	/*
	 * Forward means that the computer slept. CLOCK_BOOTTIME counts that.
	 * Timers of both clocks fire.
	 */
	if (change > 0) {
		timekeeping_inject_sleeptime64(&length);
		return;
	}
	backward.time.tv_sec = length.tv_sec;
	backward.time.tv_usec = length.tv_nsec / NSEC_PER_USEC;
	error = do_adjtimex(&backward);
	if (error < 0)
		pr_warn("the clock cannot be set by %lld s (%d)\n", length.tv_sec, error);
}

static void follow_wall_clock(struct work_struct *work)
{
	s64 offset = read_wall_offset();
	/* Count what is left of a correction: a leap would drop it. */
	s64 change = offset - followed + adjust(false, 0) * NSEC_PER_USEC;

	followed = offset;
	if (abs(change) >= LEAP_NS)
		leap(change);
	else
		adjust(true, div_s64(change, NSEC_PER_USEC));
}

static DECLARE_WORK(follow_work, follow_wall_clock);

/*
 * The host has written another offset. An interrupt cannot set clocks, so work
 * does it.
 */
void wasm_wall_clock_interrupt(void)
{
	schedule_work(&follow_work);
}
