/* SPDX-License-Identifier: MIT */
/* function invocation, label, and the two words that longjmp throws */
typedef unsigned long __jmp_buf[4];
