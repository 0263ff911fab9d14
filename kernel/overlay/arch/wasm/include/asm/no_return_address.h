/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before everything: wasm has no return address to be read, so _RET_IP_ is 0. */
#define __builtin_return_address(level)	((void *)0)
