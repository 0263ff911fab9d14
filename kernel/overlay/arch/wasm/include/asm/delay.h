/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_DELAY_H
#define _ASM_WASM_DELAY_H

void __delay(unsigned long nanoseconds);
void __udelay(unsigned long microseconds);
void __ndelay(unsigned long nanoseconds);

#define udelay(n)	__udelay(n)
#define ndelay(n)	__ndelay(n)

#endif /* _ASM_WASM_DELAY_H */
