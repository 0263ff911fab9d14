/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registers of this architecture: mutable wasm globals of a worker's
 * instance of the kernel. kernel/globals.S defines them. An instance executes
 * one kernel context at a time, so they are to a worker what general registers
 * are to a CPU.
 */
#ifndef _ASM_WASM_GLOBALS_H
#define _ASM_WASM_GLOBALS_H

#define WASM_GLOBAL(name)						\
	__asm__(".globaltype " #name ", i32");				\
	static __always_inline unsigned long get_##name(void)		\
	{								\
		unsigned long value;					\
									\
		__asm__ volatile("global.get " #name "\n"		\
				 "local.set %0"				\
				 : "=r" (value) : : "memory");		\
		return value;						\
	}								\
	static __always_inline void set_##name(unsigned long value)	\
	{								\
		__asm__ volatile("local.get %0\n"			\
				 "global.set " #name			\
				 : : "r" (value) : "memory");		\
	}

WASM_GLOBAL(wasm_current)	/* task_struct of the running context */
WASM_GLOBAL(wasm_cpu)		/* number of the CPU that this worker acts as */
WASM_GLOBAL(wasm_cpu_offset)	/* per_cpu_offset() of that CPU */
WASM_GLOBAL(wasm_irqs_enabled)	/* 0 or 1 */
/* CPU number + 1 in a CPU's own worker, 0 in a pooled one. */
WASM_GLOBAL(wasm_home_cpu)
/* struct auklet_worker of a pooled worker, 0 in a CPU's own. */
WASM_GLOBAL(wasm_worker)
/* 1 while a pooled worker executes kernel code: its script reads this. */
WASM_GLOBAL(wasm_in_kernel)
WASM_GLOBAL(__stack_pointer)

#endif /* _ASM_WASM_GLOBALS_H */
