/* SPDX-License-Identifier: MIT */
/*
 * The words of struct jump_buffer (setjmp.c): the invocation of the function,
 * the label, and the two that longjmp throws.
 */
typedef unsigned long __jmp_buf[4];
