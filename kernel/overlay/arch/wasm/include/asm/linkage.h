/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_LINKAGE_H
#define _ASM_WASM_LINKAGE_H

/* wasm instructions have no addresses. */
#define _THIS_IP_ 0UL

#endif /* _ASM_WASM_LINKAGE_H */
