// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pools that the host fills and the kernel empties: workers for tasks and
 * memories for processes. To take one is a compare-exchange of its state, so
 * fork() runs no host code. See docs/abi-engine.md, "Workers".
 *
 * kernel/model/cpu-token.pml models parts of this file.
 */
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/wait.h>
#include <asm/globals.h>
#include <asm/engine_calls.h>
#include <asm/machine.h>

/*
 * Parked workers to keep ready: one for a new task, and one for a task that is
 * killed in user code. A new task may wait until the host has started a worker.
 * A task that kills another may not wait, and its victim executes meanwhile.
 */
#define DEATH_RESERVE	1
#define WORKER_RESERVE	(1 + DEATH_RESERVE)
#define MEMORY_RESERVE	4
/*
 * In pages of 64 KiB. To clear such a memory takes no longer than to bind
 * another one; most of a stack of 8 MiB is not cleared (mm/exec.c).
 */
#define SMALL_MEMORY	(64 + 112)

/* The host answers a request at once; a worker takes 10 to 60 ms to start. */
#define POOL_TIMEOUT	(10 * HZ)
/*
 * The first time may pass while the whole machine stands still, so wait twice.
 */
#define wait_for_pool(condition)						\
	(wait_event_timeout(pool_queue, condition, POOL_TIMEOUT) ?:		\
	 wait_event_timeout(pool_queue, condition, POOL_TIMEOUT))

struct auklet_machine auklet_machine __aligned(64);

static DECLARE_WAIT_QUEUE_HEAD(pool_queue);
static DEFINE_MUTEX(copy_mutex);

void wasm_pools_interrupt(void)
{
	wake_up_all(&pool_queue);
}

/* Asks the host to keep @reserve of them ready. */
static void request(u32 *goal, u32 reserve)
{
	word_store(goal, reserve);
	ring_doorbell(AUKLET_DOORBELL_POOLS);
}

/*
 * Takes a parked worker, if @others remain. Asks the host for more if fewer
 * than @reserve remain.
 */
static struct auklet_worker *take_parked(unsigned int others, unsigned int reserve)
{
	u32 count = word_load(&auklet_machine.workers);
	struct auklet_worker *taken = NULL;
	unsigned int parked = 0;
	u32 slot;

	for (slot = 0; slot < count; slot++) {
		struct auklet_worker *worker = &auklet_machine.worker[slot];

		if (READ_ONCE(worker->state) != AUKLET_WORKER_IDLE)
			continue;
		if (!taken && word_replace(&worker->state, AUKLET_WORKER_IDLE,
					   AUKLET_WORKER_CLAIMED))
			taken = worker;
		else if (++parked >= reserve)
			break;
	}
	/*
	 * Count the others after taking: if two tasks take the last two, one
	 * must give back.
	 */
	if (taken && parked < others) {
		word_store(&taken->state, AUKLET_WORKER_IDLE);
		taken = NULL;
	}
	if (parked < reserve)
		request(&auklet_machine.worker_goal, reserve);
	if (taken) {
		word_store(&taken->wake, 0);
		taken->wants_kernel = 0;
		taken->memory = AUKLET_NO_MEMORY;
		taken->other_memory = AUKLET_NO_MEMORY;
	}
	return taken;
}

static struct auklet_worker *worker_take_now(void)
{
	/*
	 * init starts the system itself, which needs no more until somebody
	 * uses it.
	 */
	if (is_global_init(current))
		return take_parked(0, DEATH_RESERVE);
	return take_parked(DEATH_RESERVE, WORKER_RESERVE);
}

/*
 * Takes a worker for a task that is killed in user code. NULL if there is none
 * now.
 */
struct auklet_worker *wasm_worker_take_for_death(void)
{
	struct auklet_worker *worker = take_parked(0, WORKER_RESERVE);

	if (!worker)
		word_add(&auklet_machine.late_deaths, 1);
	return worker;
}

/*
 * True if the host can still make a worker, or one without a task will be
 * parked soon.
 */
static bool worker_may_come(void)
{
	u32 count = word_load(&auklet_machine.workers);
	u32 parked = 0;
	u32 exist = 0;
	u32 slot;

	for (slot = 0; slot < count; slot++) {
		switch (word_load(&auklet_machine.worker[slot].state)) {
		case AUKLET_WORKER_EMPTY:
			break;
		case AUKLET_WORKER_IDLE:
			parked++;
			fallthrough;
		case AUKLET_WORKER_CLAIMED:
		case AUKLET_WORKER_ASSIGNED:
		case AUKLET_WORKER_RUNNING:
			exist++;
			break;
		default:
			return true;
		}
	}
	if (parked > (is_global_init(current) ? 0 : DEATH_RESERVE))
		return true;
	return exist < word_load(&auklet_machine.worker_limit);
}

/* Takes a worker for a new task. NULL if none can be had. May sleep. */
struct auklet_worker *wasm_worker_take(void)
{
	struct auklet_worker *worker = worker_take_now();
	u32 seen;

	if (likely(worker))
		return worker;
	if (!current->pid) {
		/*
		 * The first threads of the boot: there is no task to switch to.
		 * (The task of the boot is not PF_IDLE yet.)
		 */
		for (;;) {
			seen = word_load(&auklet_machine.pool_wait);
			worker = worker_take_now();
			if (worker)
				return worker;
			futex_wait_word(&auklet_machine.pool_wait, seen, NSEC_PER_SEC / HZ);
		}
	}
	if (!wait_for_pool((worker = worker_take_now()) || !worker_may_come()))
		pr_warn_ratelimited("no worker for a new task\n");
	return worker;
}

/*
 * Wakes a taken worker, so that it is ready when the scheduler first picks
 * @task. Before it runs the task, it asks the host for those memories of its
 * slot that it does not know.
 */
void wasm_worker_start(struct auklet_worker *worker, struct task_struct *task)
{
	worker->task = (u32)task;
	word_store(&worker->state, AUKLET_WORKER_ASSIGNED);
	wake_event_loop(&worker->state, worker - auklet_machine.worker);
}

/* The task of a started worker will never run. */
void wasm_worker_cancel(struct auklet_worker *worker)
{
	word_store(&worker->wake, AUKLET_WAKE_CANCEL);
	futex_wake_word(&worker->wake, 1);
}

/*
 * A memory never gets smaller, and all of it must be cleared for a new process.
 * So a process that needs little gets a small one. One that needs @pages gets
 * the smallest memory that has them, or else the largest.
 */
static bool memory_fits_better(int id, int than, u32 pages)
{
	u32 size = READ_ONCE(auklet_machine.memory[id].pages);
	u32 other;

	if (than < 0)
		return true;
	other = READ_ONCE(auklet_machine.memory[than].pages);
	return size >= pages ? other < pages || size < other : size > other;
}

/* @known: only a memory that the current worker can be bound to. */
static int memory_take_now(u32 pages, bool known)
{
	u32 count = word_load(&auklet_machine.memories);
	unsigned int free;
	int best;
	u32 id;

	do {
		free = 0;
		best = -EAGAIN;
		for (id = 0; id < count; id++) {
			if (READ_ONCE(auklet_machine.memory[id].state) != AUKLET_MEMORY_FREE)
				continue;
			free++;
			if (memory_fits_better(id, best, pages) &&
			    (!known || engine_knows_memory(id)))
				best = id;
		}
	} while (best >= 0 && !word_replace(&auklet_machine.memory[best].state,
					    AUKLET_MEMORY_FREE, AUKLET_MEMORY_USED));
	if (best >= 0) {
		word_store(&auklet_machine.memory[best].users, 1);
		free--;
	}
	if (free < MEMORY_RESERVE)
		request(&auklet_machine.memory_goal, MEMORY_RESERVE);
	return best;
}

static bool memory_may_come(void)
{
	return word_load(&auklet_machine.memories) < word_load(&auklet_machine.memory_limit);
}

/*
 * Takes a memory for a new process that needs @pages (0: not known yet).
 * Returns its number, or -EAGAIN. Its contents are those of its last user. May
 * sleep.
 */
int wasm_memory_take(u32 pages)
{
	int id = memory_take_now(pages, false);

	if (likely(id >= 0))
		return id;
	wait_for_pool((id = memory_take_now(pages, false)) >= 0 || !memory_may_come());
	return id;
}

/*
 * For exec: its worker has a task, and cannot ask for a memory that it does not
 * know.
 */
int wasm_memory_take_known(void)
{
	return memory_take_now(0, true);
}

/*
 * For exec of a process that could keep memory @id: returns the number of a
 * small memory to take instead, or -EAGAIN if @id is small or no small one is
 * free.
 */
int wasm_memory_take_small(u32 id)
{
	int small;

	if (auklet_machine.memory[id].pages <= SMALL_MEMORY)
		return -EAGAIN;
	small = wasm_memory_take_known();
	if (small >= 0 && auklet_machine.memory[small].pages > SMALL_MEMORY) {
		wasm_memory_put(small);
		small = -EAGAIN;
	}
	return small;
}

/*
 * Waits until only the worker of the current task executes in memory @id, which
 * has no other task. Or returns -ERESTARTSYS.
 */
int wasm_memory_wait_until_own(u32 id)
{
	return wait_event_killable(pool_queue, word_load(&auklet_machine.memory[id].users) == 1);
}

void wasm_memory_get(u32 id)
{
	word_add(&auklet_machine.memory[id].users, 1);
}

void wasm_memory_put(u32 id)
{
	struct auklet_memory *memory = &auklet_machine.memory[id];

	switch (word_add(&memory->users, -1)) {
	case 1:
		wasm_forget_safepoint(id);
		word_store(&memory->state, AUKLET_MEMORY_FREE);
		fallthrough;
	case 2:
		wake_up(&pool_queue);
	}
}

/*
 * For a worker whose task was taken away. It has no CPU, so it may not call
 * wake_up(): an interrupt does that.
 */
void wasm_memory_put_without_cpu(u32 id)
{
	struct auklet_memory *memory = &auklet_machine.memory[id];

	switch (word_add(&memory->users, -1)) {
	case 1:
		wasm_forget_safepoint(id);
		word_store(&memory->state, AUKLET_MEMORY_FREE);
		fallthrough;
	case 2:
		word_or(&auklet_machine.interrupt_lines, 1U << AUKLET_LINE_POOLS);
		wasm_raise_interrupt(auklet_machine.interrupt_cpu, AUKLET_IRQ_DEVICE);
	}
}

/*
 * Copies between K and user memories that this worker has not been told of.
 * Returns how many bytes were copied at the last place. The wait cannot be
 * interrupted: the host always answers.
 */
static u32 ask_for_copy(const struct auklet_place *places, unsigned int count,
			const void *buffer, u32 length, bool write)
{
	struct auklet_copy *copy = &auklet_machine.copy;
	u32 copied, sequence;

	mutex_lock(&copy_mutex);
	copy->buffer = (u32)buffer;
	copy->length = length;
	copy->write = write;
	copy->places = count;
	memcpy(copy->place, places, count * sizeof(*places));
	sequence = word_add(&copy->sequence, 1) + 1;
	ring_doorbell(AUKLET_DOORBELL_COPY);
	wait_event(pool_queue, word_load(&copy->done) == sequence);
	copied = min(copy->copied, length);
	mutex_unlock(&copy_mutex);
	return copied;
}

u32 wasm_copy_by_host(u32 memory, unsigned long address, void *buffer, u32 length, bool write)
{
	struct auklet_place place = { .memory = memory, .address = address };

	return ask_for_copy(&place, 1, buffer, length, write);
}

/* Writes the same to at most AUKLET_COPY_PLACES places. */
void wasm_update_by_host(const struct auklet_place *places, unsigned int count,
			 const void *buffer, u32 length)
{
	ask_for_copy(places, count, buffer, length, true);
}
