// SPDX-License-Identifier: MIT
// Thread-local storage. Its image is a data segment, which only the linker's
// function __wasm_init_tls can copy.
#define SYSCALL_NO_TLS 1
#include <elf.h>
#include <limits.h>
#include <sys/mman.h>
#include <stddef.h>
#include "pthread_impl.h"
#include "libc.h"
#include "atomic.h"
#include "syscall.h"

volatile int __thread_list_lock;

/* Sets __tls_base to its argument, and copies the image there. */
void __wasm_init_tls(void *);

int __init_tp(void *p)
{
	pthread_t td = p;
	td->self = td;
	__set_thread_area(TP_ADJ(p));
	libc.can_do_threads = 1;
	td->detach_state = DT_JOINABLE;
	td->tid = __syscall(SYS_set_tid_address, &__thread_list_lock);
	td->locale = &libc.global_locale;
	td->robust_list.head = &td->robust_list.head;
	td->sysinfo = __sysinfo;
	td->next = td->prev = td;
	return 0;
}

#define MIN_TLS_ALIGN 16

/* Enough for struct pthread and a little TLS. More is mapped. */
static _Alignas(MIN_TLS_ALIGN) unsigned char builtin_tls[sizeof(struct pthread) + 128];

void *__copy_tls(unsigned char *mem)
{
	mem += -((uintptr_t)mem + sizeof(struct pthread)) & libc.tls_align-1;
	pthread_t td = (void *)mem;
	/* This thread's own, which __wasm_init_tls() changes. */
	void *self = __builtin_wasm_tls_base();
	__wasm_init_tls(TP_ADJ(td));
	__set_thread_area(self);
	return td;
}

/*
 * The linker has put a TLS block for the first thread into .data. It stays
 * unused, because no struct pthread is next to it.
 */
void __init_tls(size_t *aux)
{
	void *mem = builtin_tls;
	size_t align = __builtin_wasm_tls_align();

	libc.tls_align = align < MIN_TLS_ALIGN ? MIN_TLS_ALIGN : align;
	libc.tls_size = sizeof(struct pthread) + __builtin_wasm_tls_size()
		+ libc.tls_align + MIN_TLS_ALIGN-1 & -MIN_TLS_ALIGN;
	if (libc.tls_size > sizeof builtin_tls) {
		mem = (void *)__syscall(SYS_mmap2, 0, libc.tls_size, PROT_READ|PROT_WRITE,
			MAP_ANONYMOUS|MAP_PRIVATE, -1, 0);
		if ((uintptr_t)mem > -4096UL) a_crash();
	}
	__init_tp(__copy_tls(mem));
}
