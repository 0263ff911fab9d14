/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_IO_H
#define _ASM_WASM_IO_H

/* There are no I/O ports. But with a base of 0 the compiler would warn. */
#define PCI_IOBASE ((void __iomem *)PAGE_SIZE)

#include <asm-generic/io.h>

#endif /* _ASM_WASM_IO_H */
