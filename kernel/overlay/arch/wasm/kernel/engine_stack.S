/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * void wasm_check_engine_stack(u32 nr)
 *
 * Returns if the engine's stack has room for any path of the kernel. Programs
 * and kernel code share that stack in a worker. If it has no room, it overflows
 * here. The trap is then the program's, because the worker is not in the kernel
 * yet. docs/decisions/0054-room-for-the-kernel.md
 *
 * wasm cannot ask for the stack pointer. But every engine compares it with the
 * stack's end when it enters a function, and takes the function's frame into
 * account. So this function has a frame of the size that the kernel needs: it
 * would keep VALUES vectors of 16 bytes over a call. It does so for one number,
 * which is no system call (the result then means nothing). So no compiler can
 * leave the frame out. For all other numbers it stores nothing in the frame.
 *
 * The values are loads. No compiler can make one of them, move them behind the
 * call, or repeat them after it. The subtractions are not associative. Engines
 * compile these loads ten times as fast as atomic ones.
 */
#define VALUES		3584		/* 56 KiB */
/* Also an address in K that the loads may read. */
#define NO_SYSTEM_CALL	32768

	.section .text.wasm_check_engine_stack,"",@
	.globl	wasm_check_engine_stack
	.type	wasm_check_engine_stack,@function
	.export_name	wasm_check_engine_stack, check_engine_stack
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
