// SPDX-License-Identifier: GPL-2.0-only
/*
 * linux.clock of every program: reads a clock without a system call, as a vDSO
 * does.
 *
 * The program's worker executes this without a CPU. The CPU's own worker may
 * have taken the CPU for an interrupt, and even the task may be gone. So
 * nothing here belongs to a task or a CPU. No local variable may be in memory:
 * it would be on the task's kernel stack.
 *
 * A program gets its signals at its system calls. One that only reads clocks
 * would get none. So if a program should make a system call, it gets no time
 * here.
 */
#include <linux/init.h>
#include <linux/pvclock_gtod.h>
#include <linux/time.h>
#include <linux/timekeeper_internal.h>
#include <asm/globals.h>
#include <asm/machine.h>

/* This answer tells the program to ask by system call. */
#define ASK_BY_SYSTEM_CALL	S64_MIN

#define FINE_CLOCKS	(BIT(CLOCK_REALTIME) | BIT(CLOCK_MONOTONIC) | BIT(CLOCK_BOOTTIME) | \
			 BIT(CLOCK_TAI))
#define COARSE_CLOCKS	(BIT(CLOCK_REALTIME_COARSE) | BIT(CLOCK_MONOTONIC_COARSE))

/*
 * How often to look at a copy that is being written: for some 50 us. The writer
 * may wait for a processor of the computer. So after that the program asks the
 * kernel, which can sleep.
 */
#define MOST_WAITS	10000

/* A copy of the timekeeper, as of its last update. */
static struct {
	u32 sequence;		/* atomic: odd while the rest is written */
	u32 mult;
	u32 shift;
	u64 cycles_last;
	u64 cycles_most;	/* the product of more overflows 64 bits */
	u64 fraction;		/* shifted ns at cycles_last, beyond base */
	u64 base[CLOCK_TAI + 1];
} __aligned(64) data;

/* By worker slot: 1 if its program should make a system call. */
static u32 calls_wanted[AUKLET_MAX_WORKERS];

static inline u32 *call_wanted(const struct auklet_worker *worker)
{
	return &calls_wanted[worker - auklet_machine.worker];
}

void wasm_want_system_call(const struct auklet_worker *worker, bool wanted)
{
	if (READ_ONCE(*call_wanted(worker)) != wanted)
		word_store(call_wanted(worker), wanted);
}

/* The caller holds the timekeeper's lock, so there is one writer at a time. */
static int copy_timekeeper(struct notifier_block *block, unsigned long was_set, void *updated)
{
	const struct timekeeper *tk = updated;
	u64 base = tk->tkr_mono.base;

	word_add(&data.sequence, 1);
	word_store(&data.mult, tk->tkr_mono.mult);
	word_store(&data.shift, tk->tkr_mono.shift);
	word_store(&data.cycles_last, tk->tkr_mono.cycle_last);
	word_store(&data.cycles_most, tk->tkr_mono.clock->max_cycles);
	word_store(&data.fraction, tk->tkr_mono.xtime_nsec);
	word_store(&data.base[CLOCK_MONOTONIC], base);
	word_store(&data.base[CLOCK_MONOTONIC_COARSE], base);
	word_store(&data.base[CLOCK_REALTIME], base + tk->offs_real);
	word_store(&data.base[CLOCK_REALTIME_COARSE], base + tk->offs_real);
	word_store(&data.base[CLOCK_BOOTTIME], base + tk->offs_boot);
	word_store(&data.base[CLOCK_TAI], base + tk->offs_tai);
	word_add(&data.sequence, 1);
	return NOTIFY_OK;
}

static struct notifier_block timekeeper_copy = { .notifier_call = copy_timekeeper };

static int __init start_user_clock(void)
{
	return pvclock_gtod_register_notifier(&timekeeper_copy);
}
early_initcall(start_user_clock);

/* Returns the nanoseconds of clock @id, or ASK_BY_SYSTEM_CALL. */
s64 wasm_read_clock(u32 id)
{
	u32 sequence, waits;
	u64 cycles, last, time, base;

	/* With time namespaces, a program would need the offsets of its own. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_TIME_NS));
	if (id > CLOCK_TAI || !(BIT(id) & (FINE_CLOCKS | COARSE_CLOCKS)) ||
	    READ_ONCE(*call_wanted((void *)get_wasm_worker())))
		return ASK_BY_SYSTEM_CALL;
	do {
		for (waits = 0; (sequence = word_load(&data.sequence)) & 1; waits++)
			if (waits == MOST_WAITS)
				return ASK_BY_SYSTEM_CALL;
		time = word_load(&data.fraction);
		base = word_load(&data.base[id]);
		if (BIT(id) & FINE_CLOCKS) {
			/*
			 * Read the update's time before the clock, which is
			 * never behind it. In the other order, an update in
			 * between would make the difference negative.
			 */
			last = word_load(&data.cycles_last);
			cycles = wasm_clock_now() - last;
			if (cycles > word_load(&data.cycles_most))
				return ASK_BY_SYSTEM_CALL;
			time += cycles * word_load(&data.mult);
		}
		time >>= word_load(&data.shift);
	} while (word_load(&data.sequence) != sequence);
	return base + time;
}
