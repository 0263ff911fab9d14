// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safepoints: programs that were linked with -fsafepoints poll a word of their memory in loops, and make a
 * system call when it is not 0. So signals, stops and tracers reach code that makes no system calls of its own.
 *
 * The word is in U, which neither the kernel nor a CPU's own worker can write to at any time: a worker knows the memories that
 * it was told of. So the host does it.
 *
 *     kernel, for a task that an interrupt found in user code       host
 *     request: NONE -> WANTED, doorbell                    ->       WANTED -> BUSY
 *                                                                   reads the address; writes 1 there, if it is not 0
 *                                                                   BUSY -> NONE, wakes who waits
 *
 * Invariant: once wasm_forget_safepoint() has returned, the host writes nothing into this memory until somebody registers
 * a word again. It takes the address away first, so a host that begins later finds none, and waits for one that has begun.
 */
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/machine.h>

static struct auklet_memory *memory_of(const struct mm_struct *mm)
{
	return &auklet_machine.memory[mm->context.memory];
}

/* The current task runs user code and has something to do in the kernel. Called again at each tick until it comes. */
void wasm_request_safepoint(void)
{
	struct auklet_memory *memory = memory_of(current->mm);

	if (word_load(&memory->safepoint) &&
	    word_replace(&memory->safepoint_request, AUKLET_SAFEPOINT_NONE, AUKLET_SAFEPOINT_WANTED))
		ring_doorbell(AUKLET_DOORBELL_SAFEPOINTS);
}

/* The memory gets another program. Uses nothing but atomics: its last user may be a worker without a CPU. */
void wasm_forget_safepoint(u32 id)
{
	struct auklet_memory *memory = &auklet_machine.memory[id];

	word_store(&memory->safepoint, 0);
	while (word_load(&memory->safepoint_request) == AUKLET_SAFEPOINT_BUSY)
		futex_wait_word(&memory->safepoint_request, AUKLET_SAFEPOINT_BUSY,
				LONGEST_BLIND_WAIT_NS);
}

/* A fork has the same program at the same addresses. */
void wasm_copy_safepoint(u32 from, u32 to)
{
	word_store(&auklet_machine.memory[to].safepoint, word_load(&auklet_machine.memory[from].safepoint));
}

/*
 * What the program calls, with the address of the word: once at its start, and whenever it found the word set,
 * after it has cleared it. Signals of the caller are handled on the way.
 */
SYSCALL_DEFINE1(wasm_safepoint, u32 __user *, word)
{
	struct task_struct *thread;

	if (!IS_ALIGNED((unsigned long)word, sizeof(*word)))
		return -EINVAL;
	if (!access_ok(word, sizeof(*word)))
		return -EFAULT;
	word_store(&memory_of(current->mm)->safepoint, (unsigned long)word);
	/* All threads poll one word: the caller may have cleared it before another saw it. Its next interrupt asks again. */
	rcu_read_lock();
	for_other_threads(current, thread)
		if (signal_pending(thread))
			kick_process(thread);
	rcu_read_unlock();
	return 0;
}
