// SPDX-License-Identifier: MIT
// The thread pointer is a wasm global of the thread's instance, so no system
// call is needed to set it.
#include "pthread_impl.h"

__asm__(".globaltype __tls_base, i32\n");

int __set_thread_area(void *p)
{
	__asm__ volatile ("local.get %0\n\tglobal.set __tls_base" : : "r"(p) : "memory");
	return 0;
}
