// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio over shared memory: a control page takes the place of virtio-mmio's
 * registers, because the host cannot trap accesses. docs/abi-engine.md, "virtio
 * over shared memory", describes the protocol; uapi/asm/host.h has the
 * structures.
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <asm/machine.h>
#include <asm/virtio.h>

struct shm_device {
	struct virtio_device vdev;
	struct auklet_virtio *page;
	u32 doorbell;	/* this device's bit */
	int irq;
	/* Held for a write to the configuration space. */
	struct mutex config_lock;
};

static struct shm_device *to_shm(struct virtio_device *vdev)
{
	return container_of(vdev, struct shm_device, vdev);
}

static void *config_space(struct virtio_device *vdev)
{
	return (void *)to_shm(vdev)->page + AUKLET_VIRTIO_CONFIG;
}

static void shm_get(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int length)
{
	if (WARN_ON_ONCE(offset + length > AUKLET_VIRTIO_CONFIG_SIZE))
		return;
	memcpy(to, config_space(vdev) + offset, length);
	/* The caller reads the generation next: it must not be older. */
	virt_rmb();
}

static u32 shm_generation(struct virtio_device *vdev)
{
	struct auklet_virtio *page = to_shm(vdev)->page;
	u32 generation;

	/* Odd: the host is writing the space, for some microseconds. */
	while ((generation = word_load(&page->config_generation)) & 1)
		cpu_relax();
	return generation;
}

static void kick(struct shm_device *shm, u32 bits)
{
	word_or(&shm->page->kick, bits);
	ring_doorbell(shm->doorbell);
}

/* Waits until the host has acted, which it does as soon as it wakes. */
static void wait_for_host(u32 *word, u32 sequence)
{
	u32 seen;

	while ((seen = word_load(word)) != sequence)
		futex_wait_word(word, seen, LONGEST_BLIND_WAIT_NS);
}

static void write_status(struct shm_device *shm, u32 status)
{
	struct auklet_virtio *page = shm->page;
	u32 sequence;

	word_store(&page->status, status);
	sequence = word_add(&page->status_sequence, 1) + 1;
	kick(shm, AUKLET_VIRTIO_KICK_STATUS);
	wait_for_host(&page->status_seen, sequence);
}

/*
 * The host cannot see stores to the configuration space. So the driver puts
 * what it writes into config_value, and waits until the host has taken that
 * over. A store that traps would be over then too.
 */
static void write_config(struct shm_device *shm, unsigned int offset, const void *from,
			 unsigned int length)
{
	struct auklet_virtio *page = shm->page;
	u32 sequence;

	page->config_offset = offset;
	page->config_length = length;
	memcpy(page->config_value, from, length);
	sequence = word_add(&page->config_sequence, 1) + 1;
	kick(shm, AUKLET_VIRTIO_KICK_CONFIG);
	wait_for_host(&page->config_seen, sequence);
}

static void shm_set(struct virtio_device *vdev, unsigned int offset, const void *from,
		    unsigned int length)
{
	struct shm_device *shm = to_shm(vdev);

	if (WARN_ON_ONCE(offset + length > AUKLET_VIRTIO_CONFIG_SIZE))
		return;
	mutex_lock(&shm->config_lock);
	while (length) {
		unsigned int part = min_t(unsigned int, length, AUKLET_VIRTIO_CONFIG_WRITE);

		write_config(shm, offset, from, part);
		offset += part;
		from += part;
		length -= part;
	}
	mutex_unlock(&shm->config_lock);
}

static u8 shm_get_status(struct virtio_device *vdev)
{
	return word_load(&to_shm(vdev)->page->status_result);
}

static void shm_set_status(struct virtio_device *vdev, u8 status)
{
	write_status(to_shm(vdev), status);
}

static void shm_reset(struct virtio_device *vdev)
{
	write_status(to_shm(vdev), 0);
}

static u64 shm_get_features(struct virtio_device *vdev)
{
	struct auklet_virtio *page = to_shm(vdev)->page;

	return page->device_features[0] | (u64)page->device_features[1] << 32;
}

static int shm_finalize_features(struct virtio_device *vdev)
{
	struct auklet_virtio *page = to_shm(vdev)->page;

	vring_transport_features(vdev);
	if (!__virtio_test_bit(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "the device is not a virtio 1 device\n");
		return -EINVAL;
	}
	page->driver_features[0] = (u32)vdev->features;
	page->driver_features[1] = (u32)(vdev->features >> 32);
	return 0;
}

static bool notify_queue(struct virtqueue *vq)
{
	kick(to_shm(vq->vdev), BIT(vq->index));
	return true;
}

bool wasm_virtqueue_held(const struct virtqueue *vq)
{
	return word_load(&to_shm(vq->vdev)->page->held) & BIT(vq->index);
}

static irqreturn_t shm_interrupt(int irq, void *data)
{
	struct shm_device *shm = data;
	u32 bits = word_exchange(&shm->page->interrupt, 0);
	struct virtqueue *vq;

	if (!bits)
		return IRQ_NONE;
	if (bits & AUKLET_VIRTIO_INT_CONFIG)
		virtio_config_changed(&shm->vdev);
	/*
	 * A driver learns that a held queue is free again by the callback that
	 * otherwise tells it of returned buffers.
	 */
	if (bits & AUKLET_VIRTIO_INT_RELEASED)
		virtio_device_for_each_vq(&shm->vdev, vq)
			if (vq->callback)
				vq->callback(vq);
	if (bits & AUKLET_VIRTIO_INT_RING)
		virtio_device_for_each_vq(&shm->vdev, vq)
			vring_interrupt(irq, vq);
	return IRQ_HANDLED;
}

static void shm_del_vqs(struct virtio_device *vdev)
{
	struct shm_device *shm = to_shm(vdev);
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list) {
		WRITE_ONCE(shm->page->queue[vq->index].ready, 0);
		vring_del_virtqueue(vq);
	}
	free_irq(shm->irq, shm);
}

static struct virtqueue *setup_queue(struct virtio_device *vdev, unsigned int index,
				     const struct virtqueue_info *info)
{
	struct auklet_virtio_queue *queue = &to_shm(vdev)->page->queue[index];
	struct virtqueue *vq;

	if (index >= AUKLET_MAX_QUEUES || !queue->size_max)
		return ERR_PTR(-ENOENT);
	vq = vring_create_virtqueue(index, queue->size_max, SMP_CACHE_BYTES, vdev, true, true,
				    info->ctx, notify_queue, info->callback, info->name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = queue->size_max;
	queue->size = virtqueue_get_vring_size(vq);
	queue->descriptors = virtqueue_get_desc_addr(vq);
	queue->available = virtqueue_get_avail_addr(vq);
	queue->used = virtqueue_get_used_addr(vq);
	word_store(&queue->ready, 1);
	return vq;
}

static int shm_find_vqs(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
			struct virtqueue_info infos[], struct irq_affinity *affinity)
{
	struct shm_device *shm = to_shm(vdev);
	unsigned int i, index = 0;
	int error;

	error = request_irq(shm->irq, shm_interrupt, 0, dev_name(&vdev->dev), shm);
	if (error)
		return error;
	for (i = 0; i < count; i++) {
		vqs[i] = NULL;
		if (!infos[i].name)
			continue;
		vqs[i] = setup_queue(vdev, index++, &infos[i]);
		if (IS_ERR(vqs[i])) {
			error = PTR_ERR(vqs[i]);
			shm_del_vqs(vdev);
			return error;
		}
	}
	return 0;
}

static const char *shm_bus_name(struct virtio_device *vdev)
{
	return dev_name(vdev->dev.parent);
}

static const struct virtio_config_ops shm_config_ops = {
	.get			= shm_get,
	.set			= shm_set,
	.generation		= shm_generation,
	.get_status		= shm_get_status,
	.set_status		= shm_set_status,
	.reset			= shm_reset,
	.find_vqs		= shm_find_vqs,
	.del_vqs		= shm_del_vqs,
	.get_features		= shm_get_features,
	.finalize_features	= shm_finalize_features,
	.bus_name		= shm_bus_name,
};

static void shm_release(struct device *device)
{
	kfree(to_shm(dev_to_virtio(device)));
}

static int shm_probe(struct platform_device *pdev)
{
	struct resource *resource = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct shm_device *shm;
	u32 line;
	int error;

	if (!resource || of_property_read_u32(pdev->dev.of_node, "interrupts", &line) ||
	    line >= AUKLET_MAX_DEVICES)
		return -EINVAL;
	shm = kzalloc(sizeof(*shm), GFP_KERNEL);
	if (!shm)
		return -ENOMEM;
	shm->page = (struct auklet_virtio *)(unsigned long)resource->start;
	shm->doorbell = BIT(line);
	shm->irq = platform_get_irq(pdev, 0);
	mutex_init(&shm->config_lock);
	if (shm->page->magic != AUKLET_VIRTIO_MAGIC || shm->irq < 0) {
		dev_err(&pdev->dev, "no device at %pa\n", &resource->start);
		kfree(shm);
		return -ENODEV;
	}
	shm->vdev.id.device = shm->page->device_id;
	shm->vdev.id.vendor = AUKLET_VIRTIO_MAGIC;
	shm->vdev.config = &shm_config_ops;
	shm->vdev.dev.parent = &pdev->dev;
	shm->vdev.dev.release = shm_release;
	platform_set_drvdata(pdev, shm);
	error = register_virtio_device(&shm->vdev);
	if (error)
		put_device(&shm->vdev.dev);
	return error;
}

static const struct of_device_id shm_match[] = {
	{ .compatible = "auklet,virtio" },
	{ }
};

static struct platform_driver shm_driver = {
	.probe	= shm_probe,
	.driver	= {
		.name			= "virtio-auklet",
		.of_match_table		= shm_match,
		.suppress_bind_attrs	= true,
	},
};
builtin_platform_driver(shm_driver);
