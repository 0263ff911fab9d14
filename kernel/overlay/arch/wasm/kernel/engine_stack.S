/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * void wasm_check_engine_stack(u32 nr)
 * Returns if the engine's stack, which programs and kernel code share in a worker, has room for any
 * path of the kernel. Otherwise it is where the stack overflows, and the trap is the program's, because
 * the worker is not in the kernel yet. docs/decisions/0054-room-for-the-kernel.md
 *
 * wasm cannot ask for the stack pointer. But every engine compares it with the stack's end when it enters a
 * function, and takes the function's frame into account. So this function has a frame of that size: it would keep
 * VALUES vectors of 16 bytes over a call. It does so for a number that is no system call (the result
 * then means nothing), so no compiler can leave the frame out. In all other cases nothing is stored in the frame.
 *
 * The values are loads that no compiler can make one of, move behind the call, or repeat after it; the subtractions
 * are not associative. Loads that are not atomic are compiled ten times as fast.
 */
#define VALUES		3584		/* 56 KiB */
#define NO_SYSTEM_CALL	32768		/* and an address in K with as many bytes behind it */

	.section .text.wasm_check_engine_stack,"",@
	.globl	wasm_check_engine_stack
	.type	wasm_check_engine_stack,@function
	.export_name	wasm_check_engine_stack, wasm_check_engine_stack
wasm_check_engine_stack:
	.functype wasm_check_engine_stack (i32) -> ()
	block
	local.get	0
	i32.const	NO_SYSTEM_CALL
	i32.ne
	br_if	0
	.rept	VALUES
	local.get	0
	v128.load	\+:p2align=0
	.endr
	i32.const	0
	call	wasm_check_engine_stack
	.rept	VALUES - 1
	i64x2.sub
	.endr
	i32x4.extract_lane	0
	call	wasm_check_engine_stack
	end_block
	end_function
