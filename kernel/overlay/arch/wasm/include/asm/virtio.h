/* SPDX-License-Identifier: GPL-2.0-only */
/* What a driver may ask the transport in drivers/virtio.c beyond virtio. */
#ifndef _ASM_WASM_VIRTIO_H
#define _ASM_WASM_VIRTIO_H

#include <linux/types.h>

struct virtqueue;

/*
 * True while the host asks the driver to put nothing into @vq that can wait.
 * When that ends, the transport calls the queue's callback.
 */
bool wasm_virtqueue_held(const struct virtqueue *vq);

#endif /* _ASM_WASM_VIRTIO_H */
