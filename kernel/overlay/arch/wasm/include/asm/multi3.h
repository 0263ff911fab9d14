/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_MULTI3_H
#define _ASM_WASM_MULTI3_H

/* Called by compiled code only. */
__int128 __multi3(__int128 a, __int128 b);

#endif /* _ASM_WASM_MULTI3_H */
