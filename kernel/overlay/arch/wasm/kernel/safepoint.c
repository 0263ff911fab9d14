// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safepoints: a program that was linked with -fsafepoints polls a word of its
 * memory in loops, and makes a system call when the word is not 0. So signals,
 * stops and tracers reach code that makes no system calls of its own.
 *
 * The word is in U. A worker can write only to memories that it was told of, so
 * a CPU's own worker cannot set the word at any time. The host sets it:
 *
 *     kernel, for a task that an            host
 *     interrupt found in user code
 *       request: NONE -> WANTED
 *       rings the doorbell            ->    request: WANTED -> BUSY
 *                                           reads the address of the word
 *                                           writes 1 there, if it is not 0
 *                                           request: BUSY -> NONE
 *                                           wakes those who wait for that
 *
 * Invariant: once wasm_forget_safepoint() has returned, the host writes nothing
 * into this memory until a program registers a word again. The function first
 * takes the address away, so that a host that begins later finds none. Then it
 * waits for a host that has begun.
 */
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/machine.h>

static struct auklet_memory *memory_of(const struct mm_struct *mm)
{
	return &auklet_machine.memory[mm->context.memory];
}

/*
 * The current task executes user code, and has something to do in the kernel.
 * Each tick calls this again until the task comes.
 */
void wasm_request_safepoint(void)
{
	struct auklet_memory *memory = memory_of(current->mm);

	if (word_load(&memory->safepoint) &&
	    word_replace(&memory->safepoint_request, AUKLET_SAFEPOINT_NONE,
			 AUKLET_SAFEPOINT_WANTED))
		ring_doorbell(AUKLET_DOORBELL_SAFEPOINTS);
}

/*
 * Memory @id gets another program. This uses nothing but atomics, because the
 * last user of the memory may be a worker without a CPU.
 */
void wasm_forget_safepoint(u32 id)
{
	struct auklet_memory *memory = &auklet_machine.memory[id];

	word_store(&memory->safepoint, 0);
	while (word_load(&memory->safepoint_request) == AUKLET_SAFEPOINT_BUSY)
		futex_wait_word(&memory->safepoint_request, AUKLET_SAFEPOINT_BUSY,
				LONGEST_BLIND_WAIT_NS);
}

/* A forked child executes the same program at the same addresses. */
void wasm_copy_safepoint(u32 from, u32 to)
{
	word_store(&auklet_machine.memory[to].safepoint,
		   word_load(&auklet_machine.memory[from].safepoint));
}

/*
 * The program calls this with the address of its word: once at its start, and
 * whenever it found the word set, after it has cleared it. The signals of the
 * caller are handled on its way back, as after any system call.
 */
SYSCALL_DEFINE1(wasm_safepoint, u32 __user *, word)
{
	struct task_struct *thread;

	if (!IS_ALIGNED((unsigned long)word, sizeof(*word)))
		return -EINVAL;
	if (!access_ok(word, sizeof(*word)))
		return -EFAULT;
	word_store(&memory_of(current->mm)->safepoint, (unsigned long)word);
	/*
	 * All threads poll one word. The caller may have cleared it before
	 * another thread saw it. The next interrupt of that one asks again.
	 */
	rcu_read_lock();
	for_other_threads(current, thread)
		if (signal_pending(thread))
			kick_process(thread);
	rcu_read_unlock();
	return 0;
}
