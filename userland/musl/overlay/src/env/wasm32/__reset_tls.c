// SPDX-License-Identifier: MIT
// Gives the calling thread a fresh copy of the TLS image.
#include "pthread_impl.h"

void __wasm_init_tls(void *);

void __reset_tls(void)
{
	__wasm_init_tls(TP_ADJ(__pthread_self()));
}
