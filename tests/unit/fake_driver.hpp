// SPDX-License-Identifier: MIT
// The driver's side of queues and of the transport, over plain memory. It can also do everything wrong.
#pragma once

#include "platform/native/plain_memory.hpp"
#include "src/abi.hpp"
#include "src/virtio/transport.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace auklet::test {

/// VIRTIO_F_INDIRECT_DESC, which the transport offers for every device.
inline constexpr std::uint32_t feature_indirect = 1U << 28;

inline constexpr std::uint16_t flag_next = 1;
inline constexpr std::uint16_t flag_write = 2;
inline constexpr std::uint16_t flag_indirect = 4;

struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};

inline std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A queue as a driver lays it out: descriptors, available ring and used ring from `base` on, 4096 bytes each.
class FakeQueue {
  public:
    FakeQueue(native::PlainMemory& memory, GuestAddress base, std::uint16_t size)
        : memory_(&memory), base_(base), size_(size) {}

    [[nodiscard]] virtio::QueueAddresses addresses() const { return {size_, base_, available(), used()}; }
    [[nodiscard]] GuestAddress available() const { return base_ + 4096; }
    [[nodiscard]] GuestAddress used() const { return base_ + 8192; }

    void descriptor(std::uint16_t index, Descriptor descriptor) { put(base_ + index * 16U, descriptor); }
    void offer(std::uint16_t head) {
        auto index = get<std::uint16_t>(available() + 2);
        put(available() + 4 + 2U * (index % size_), head);
        set_available_index(static_cast<std::uint16_t>(index + 1));
    }
    void set_available_index(std::uint16_t index) { put(available() + 2, index); }
    void set_available_flags(std::uint16_t flags) { put(available(), flags); }

    /// One chain of one descriptor.
    void offer_buffer(std::uint16_t index, GuestAddress address, std::uint32_t length, std::uint16_t flags) {
        descriptor(index, {address, length, flags, 0});
        offer(index);
    }

    /// virtio 1.2, 2.7.10: whether the device wants to be told of new chains.
    [[nodiscard]] bool rings() const { return (get<std::uint16_t>(used()) & 1) == 0; }
    [[nodiscard]] std::uint16_t used_index() const { return get<std::uint16_t>(used() + 2); }
    struct Used {
        std::uint32_t id;
        std::uint32_t length;
    };
    [[nodiscard]] Used used_element(std::uint16_t index) const { return get<Used>(used() + 4 + 8U * (index % size_)); }

    template <typename T> void put(GuestAddress address, const T& value) {
        std::memcpy(memory_->data() + address, &value, sizeof value);
    }
    template <typename T> [[nodiscard]] T get(GuestAddress address) const {
        T value;
        std::memcpy(&value, memory_->data() + address, sizeof value);
        return value;
    }

  private:
    native::PlainMemory* memory_;
    GuestAddress base_;
    std::uint16_t size_;
};

class RecordedTransportEvents final : public virtio::TransportEvents {
  public:
    void raise_interrupt(std::uint32_t) override { ++interrupts; }
    void device_failed(std::string_view, std::string_view reason) override { failures.emplace_back(reason); }

    int interrupts = 0;
    std::vector<std::string> failures;
};

/// A driver of one device: 4 MiB of memory, control page in the last page, queue n at 64 KiB * (n + 1).
class FakeDriver {
  public:
    static constexpr std::size_t memory_size = 4 << 20;
    static constexpr GuestAddress page_address = memory_size - AUKLET_VIRTIO_PAGE;
    /// Free for buffers.
    static constexpr GuestAddress buffers = 2 << 20;

    explicit FakeDriver(virtio::Device& device)
        : memory(memory_size), page(*memory.region(page_address, AUKLET_VIRTIO_PAGE)),
          transport(memory, page, 5, device, events) {}

    std::uint32_t set_status(std::uint32_t status) {
        page.store32(offsetof(abi::VirtioPage, status), status);
        auto sequence = page.add32(offsetof(abi::VirtioPage, status_sequence), 1) + 1;
        page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        transport.service();
        if (page.load32(offsetof(abi::VirtioPage, status_seen)) != sequence)
            return ~0U;
        return page.load32(offsetof(abi::VirtioPage, status_result));
    }

    FakeQueue& set_queue(std::uint32_t index, std::uint16_t size) {
        if (queues.empty())
            queues.reserve(AUKLET_MAX_QUEUES);
        queues.emplace_back(memory, 65536 * (index + 1), size);
        auto addresses = queues.back().addresses();
        write_queue(index, addresses);
        return queues.back();
    }
    void write_queue(std::uint32_t index, const virtio::QueueAddresses& addresses) {
        auto offset = offsetof(abi::VirtioPage, queue) + index * sizeof(abi::VirtioQueue);
        auto settings = page.read_structure<abi::VirtioQueue>(offset);
        settings.size = addresses.size;
        settings.descriptors = addresses.descriptors;
        settings.available = addresses.available;
        settings.used = addresses.used;
        settings.ready = 1;
        page.write_structure(offset, settings);
    }

    /// The steps of section 3.1.1 up to DRIVER_OK; queues are set before.
    std::uint32_t start(std::uint64_t features) {
        set_status(0);
        set_status(1);
        set_status(3);
        page.store32(offsetof(abi::VirtioPage, driver_features), static_cast<std::uint32_t>(features));
        page.store32(offsetof(abi::VirtioPage, driver_features) + 4, static_cast<std::uint32_t>(features >> 32) | 1);
        set_status(11);
        // Reset cleared `ready`.
        for (std::size_t index = 0; index < AUKLET_MAX_QUEUES; ++index) {
            auto offset = offsetof(abi::VirtioPage, queue) + index * sizeof(abi::VirtioQueue);
            if (page.read_structure<abi::VirtioQueue>(offset).size != 0)
                page.store32(offset + offsetof(abi::VirtioQueue, ready), 1);
        }
        return set_status(15);
    }

    /// Writes to the configuration space, as the driver does. False: the host does not answer.
    bool write_configuration(std::uint32_t offset, std::span<const std::byte> value, std::uint32_t length) {
        page.store32(offsetof(abi::VirtioPage, config_offset), offset);
        page.store32(offsetof(abi::VirtioPage, config_length), length);
        page.write(offsetof(abi::VirtioPage, config_value), value);
        auto sequence = page.add32(offsetof(abi::VirtioPage, config_sequence), 1) + 1;
        page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_CONFIG);
        transport.service();
        return page.load32(offsetof(abi::VirtioPage, config_seen)) == sequence;
    }

    void kick(std::uint32_t queue) {
        page.or32(offsetof(abi::VirtioPage, kick), 1U << queue);
        transport.service();
    }
    /// Takes the interrupt bits, as the driver's handler does.
    std::uint32_t take_interrupt() { return page.exchange32(offsetof(abi::VirtioPage, interrupt), 0); }

    void put(GuestAddress address, std::string_view text) { std::ranges::copy(bytes(text), memory.data() + address); }
    [[nodiscard]] std::string get(GuestAddress address, std::size_t size) {
        return {reinterpret_cast<const char*>(memory.data() + address), size};
    }

    native::PlainMemory memory;
    GuestRegion page;
    RecordedTransportEvents events;
    virtio::Transport transport;
    std::vector<FakeQueue> queues;
};

} // namespace auklet::test
