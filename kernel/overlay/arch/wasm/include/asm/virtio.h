/* SPDX-License-Identifier: GPL-2.0-only */
/* What a driver may ask the transport of drivers/virtio.c besides virtio. */
#ifndef _ASM_WASM_VIRTIO_H
#define _ASM_WASM_VIRTIO_H

#include <linux/types.h>

struct virtqueue;

/* Whether the host asks to put nothing into @vq that can wait. When that ends, the queue's callback is called. */
bool wasm_virtqueue_held(const struct virtqueue *vq);

#endif /* _ASM_WASM_VIRTIO_H */
