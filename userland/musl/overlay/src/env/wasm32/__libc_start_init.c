// SPDX-License-Identifier: MIT
// Constructors: the linker collects them in a function instead of an array.
#include "libc.h"

void __wasm_call_ctors(void);

void __libc_start_init(void)
{
	__wasm_call_ctors();
}
