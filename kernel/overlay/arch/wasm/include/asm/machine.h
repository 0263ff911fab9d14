/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's side of what it shares with its host, and the functions that the
 * files of this architecture call of each other.
 */
#ifndef _ASM_WASM_MACHINE_H
#define _ASM_WASM_MACHINE_H

#include <linux/compiler.h>
#include <linux/time64.h>
#include <asm/engine_calls.h>
#include <uapi/asm/host.h>

struct mm_struct;
struct pt_regs;
struct task_struct;

extern struct auklet_machine auklet_machine;

#define WASM_EXPORT(name) __attribute__((export_name(#name))) __used

int wasm_wait_word(u32 *word, u32 expected, s64 timeout_ns);

static inline void futex_wake_word(u32 *word, u32 count)
{
	__builtin_wasm_memory_atomic_notify((int *)word, count);
}

#define word_load(p)		__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define word_store(p, v)	__atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define word_exchange(p, v)	__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define word_or(p, v)		__atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define word_and(p, v)		__atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define word_add(p, v)		__atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)

static inline bool word_replace(u32 *word, u32 expected, u32 value)
{
	return __atomic_compare_exchange_n(word, &expected, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* reboot.c */
void __noreturn wasm_leave_machine(void);
void __noreturn wasm_stop_cpu_forever(void);

/*
 * Leaves wasm for good if the machine has ended. The host then raises STOP on
 * all CPUs; a worker without a CPU looks at CPU 0's bit. Every worker calls
 * this before and after each wait, and where it polls interrupts, so it comes
 * here soon. It puts nothing in order, because nobody uses K any more.
 */
static inline void leave_ended_machine(void)
{
	if (unlikely(word_load(&auklet_machine.cpu[0].pending) & AUKLET_IRQ_STOP))
		wasm_leave_machine();
}

/* The longest wait on a word that the host does not change at the end. */
#define LONGEST_BLIND_WAIT_NS	(20 * 1000 * 1000)

/*
 * Sleeps while *word is @expected, at most @timeout_ns. Returns 0 if woken, 1
 * if the word had another value, 2 if the time was over. A negative timeout
 * means for ever: use it only for a word that the host changes when the machine
 * has ended (MachineState::end). For other words, wait LONGEST_BLIND_WAIT_NS at
 * most.
 */
static inline int futex_wait_word(u32 *word, u32 expected, s64 timeout_ns)
{
	int result;

	leave_ended_machine();
	result = wasm_wait_word(word, expected, timeout_ns);
	leave_ended_machine();
	return result;
}

/*
 * Wakes the event loop of worker @slot (-1: of the host) if it waits on @word.
 */
static inline void wake_event_loop(u32 *word, int slot)
{
	if (__builtin_wasm_memory_atomic_notify((int *)word, 1))
		engine_wake(slot);
}

static inline void ring_doorbell(u32 bits)
{
	word_or(&auklet_machine.doorbell, bits);
	wake_event_loop(&auklet_machine.doorbell, -1);
}

/* pools.c: workers and memories. */
struct auklet_worker *wasm_worker_take(void);
struct auklet_worker *wasm_worker_take_for_death(void);
void wasm_worker_start(struct auklet_worker *worker, struct task_struct *task);
void wasm_worker_cancel(struct auklet_worker *worker);
int wasm_memory_take(u32 pages);
int wasm_memory_take_known(void);
int wasm_memory_take_small(u32 id);
void wasm_memory_get(u32 id);
int wasm_memory_wait_until_own(u32 id);
void wasm_memory_put(u32 id);
void wasm_memory_put_without_cpu(u32 id);
void wasm_pools_interrupt(void);
u32 wasm_copy_by_host(u32 memory, unsigned long address, void *buffer, u32 length, bool write);
void wasm_update_by_host(const struct auklet_place *places, unsigned int count,
			 const void *buffer, u32 length);

/* What the engine calls: docs/abi-engine.md, "vmlinux.wasm". */
void wasm_boot_cpu(void *dtb) WASM_EXPORT(boot_cpu);
void wasm_secondary_cpu(u32 cpu) WASM_EXPORT(secondary_cpu);
void wasm_run_task(u32 slot) WASM_EXPORT(run_task);
long wasm_syscall(u32 nr, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) WASM_EXPORT(syscall);
s64 wasm_read_clock(u32 id) WASM_EXPORT(read_clock);
long wasm_fork_process(u32 buffer, u32 stack_pointer, u32 tls_base) WASM_EXPORT(fork_process);
unsigned long wasm_user_trap(u32 kind, u32 can_handle) WASM_EXPORT(user_trap);
void wasm_kernel_trap(const char *text, u32 length) WASM_EXPORT(kernel_trap);
void wasm_run_coroutine(struct task_struct *task) WASM_EXPORT(run_coroutine);

/* engine_stack.S */
void wasm_check_engine_stack(u32 nr);

/* globals.S */
int wasm_catch_unwind(void (*function)(void *argument), void *argument);
void __noreturn wasm_unwind(void);

/* coroutine.c */
void wasm_resume_coroutine(struct task_struct *task);
void wasm_suspend_coroutine(struct task_struct *task);

/* process.c */
void __noreturn wasm_leave_kernel(u32 reason, unsigned long stack_pointer);

/* own_cpu.c */
void wasm_serve_own_cpu(void);
bool wasm_check_deadline(void);

/* entry.c */
void __noreturn wasm_start_user(void);
void wasm_take_interrupts_of_user(void);

/* user_clock.c */
void wasm_want_system_call(const struct auklet_worker *worker, bool wanted);

/* time.c, wall_clock.c, irq.c, smp.c */
u64 wasm_clock_now(void);
void wasm_start_clock(void);
void wasm_setup_clock_event(void);
void wasm_setup_smp(void);
void wasm_timer_interrupt(void);
u64 wasm_wall_clock_at(u64 monotonic);
void wasm_wall_clock_interrupt(void);
void wasm_device_interrupt(void);

/* The bits of auklet_cpu.pending that are interrupts, and so are taken. */
#define IRQ_TAKEN	(AUKLET_IRQ_TIMER | AUKLET_IRQ_RESCHEDULE | AUKLET_IRQ_CALL | \
			 AUKLET_IRQ_WORK | AUKLET_IRQ_DEVICE)

/* mm/ */
int wasm_fork_copy_memory(int source);
int wasm_dup_areas(struct mm_struct *mm, struct mm_struct *old);
int wasm_wait_for_own_memory(struct mm_struct *mm);
void wasm_write_back_areas(struct mm_struct *mm);
void wasm_publish_areas(struct mm_struct *mm);
void wasm_set_settled(const struct mm_struct *mm, bool is_settled);
void wasm_unlink_areas(struct mm_struct *mm);

/*
 * The main stack of a program lies at [0, @top). At the address @limit the
 * program keeps a word: below the address in it, it has not used the stack yet
 * (docs/abi-programs.md, "Memory and start"). If @limit is 0 there is no such
 * word.
 */
struct main_stack {
	u32 top;
	u32 limit;
};

int wasm_map_image(struct mm_struct *mm, unsigned long image_end, unsigned long arguments,
		   const struct main_stack *stack);

/* safepoint.c */
void wasm_request_safepoint(void);
void wasm_forget_safepoint(u32 id);
void wasm_copy_safepoint(u32 from, u32 to);

/* signal.c */
void wasm_take_signal(struct pt_regs *regs);
void wasm_publish_signal(struct pt_regs *regs);
void wasm_forget_taken_signal(struct task_struct *task);

#endif /* _ASM_WASM_MACHINE_H */
