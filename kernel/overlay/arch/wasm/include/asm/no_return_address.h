/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The compiler includes this before all else. Code cannot read its return
 * address in wasm, so _RET_IP_ is 0.
 */
#define __builtin_return_address(level)	((void *)0)
