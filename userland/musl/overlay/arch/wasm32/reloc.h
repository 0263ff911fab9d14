/* SPDX-License-Identifier: MIT */
/* There is no dynamic linker for this architecture yet. */
#define LDSO_ARCH "wasm32"
#define TPOFF_K 0
