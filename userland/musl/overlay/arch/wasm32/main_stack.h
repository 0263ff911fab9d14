/* SPDX-License-Identifier: MIT */
/* The main stack (src/thread/wasm32/stack_guard.c). */
#include <features.h>
#include <stdint.h>

extern hidden char __stack_low[], __stack_high[];

/* The program has not used its main stack below this address yet. */
extern hidden uintptr_t __stack_limit;

hidden void __start_stack(void);
hidden void __guard_stack(void);
hidden int __extend_stack(uintptr_t);
