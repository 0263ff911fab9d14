/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _WASM_COREDUMP_H
#define _WASM_COREDUMP_H

struct coredump_params;

#ifdef CONFIG_COREDUMP
int wasm_core_dump(struct coredump_params *cprm);
#endif

#endif /* _WASM_COREDUMP_H */
