/* SPDX-License-Identifier: MIT */
/* The main stack: src/thread/wasm32/stack_guard.c. */
#include <features.h>
#include <stdint.h>

extern hidden char __stack_low[], __stack_high[];

/* Below it the main stack was not used yet. */
extern hidden uintptr_t __stack_limit;

hidden void __start_stack(void);
hidden void __guard_stack(void);
hidden int __extend_stack(uintptr_t);
