/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_LISTENERS_H
#define _ASM_WASM_LISTENERS_H

#include <linux/types.h>

struct sock;

/* A socket has begun to listen, or ends it. */
void arch_listener(const struct sock *sk, bool begins);

#endif /* _ASM_WASM_LISTENERS_H */
