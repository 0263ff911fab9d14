/* SPDX-License-Identifier: GPL-2.0-only */
/* The per-instance globals of asm/globals.h, and the functions that unwind. */

.macro DEFINE_GLOBAL name, type=i32
	.globl	\name
	.globaltype \name, \type
\name:
.endm

	DEFINE_GLOBAL wasm_current
	DEFINE_GLOBAL wasm_cpu
	DEFINE_GLOBAL wasm_cpu_offset
	DEFINE_GLOBAL wasm_irqs_enabled
	DEFINE_GLOBAL wasm_home_cpu
	DEFINE_GLOBAL wasm_worker
	DEFINE_GLOBAL wasm_in_kernel
	DEFINE_GLOBAL wasm_clock_offset, f64

	.globl	wasm_unwind_tag
	.tagtype wasm_unwind_tag
wasm_unwind_tag:

/*
 * int wasm_catch_unwind(void (*function)(void *), void *argument)
 *
 * Calls the function. Returns 0 if it returned, 1 if it ended in wasm_unwind().
 * Only a CPU's own worker uses this. It drops the frames of a task that it
 * served, or of a coroutine that ends.
 */
	.section .text.wasm_catch_unwind,"",@
	.globl	wasm_catch_unwind
	.type	wasm_catch_unwind,@function
wasm_catch_unwind:
	.functype wasm_catch_unwind (i32, i32) -> (i32)
	try	i32
	local.get 1
	local.get 0
	call_indirect (i32) -> ()
	i32.const 0
	catch	wasm_unwind_tag
	i32.const 1
	end_try
	end_function

/* void wasm_unwind(void) */
	.section .text.wasm_unwind,"",@
	.globl	wasm_unwind
	.type	wasm_unwind,@function
wasm_unwind:
	.functype wasm_unwind () -> ()
	throw	wasm_unwind_tag
	end_function
