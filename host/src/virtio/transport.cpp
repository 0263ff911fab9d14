// SPDX-License-Identifier: MIT
// Device status, features, queue set-up and interrupts over the control page.

#include "transport.hpp"

#include <algorithm>

namespace auklet::virtio {

namespace {

// virtio 1.2, 2.1: device status.
constexpr std::uint32_t status_driver_ok = 4;
constexpr std::uint32_t status_features_ok = 8;
constexpr std::uint32_t status_needs_reset = 64;

// 6: bit 32, the lowest of the second feature word. The driver must accept it: there is no legacy interface.
constexpr std::uint32_t feature_word_version_1 = 1;

constexpr std::uint64_t queue_field(std::uint32_t index, std::uint64_t field) {
    return offsetof(abi::VirtioPage, queue) + index * sizeof(abi::VirtioQueue) + field;
}

} // namespace

Transport::Transport(GuestMemory& memory, GuestRegion page, std::uint32_t line, Device& device, TransportEvents& events)
    : memory_(memory), page_(page), line_(line), device_(device), events_(events) {
    const auto sizes = device.queue_sizes();
    abi::VirtioPage registers{};
    registers.magic = AUKLET_VIRTIO_MAGIC;
    registers.device_id = device.type();
    registers.device_features[0] = device.features();
    registers.device_features[1] = feature_word_version_1;
    registers.queue_count = static_cast<std::uint32_t>(sizes.size());
    for (std::size_t index = 0; index < sizes.size() && index < AUKLET_MAX_QUEUES; ++index)
        registers.queue[index].size_max = sizes[index];
    page_.write_structure(0, registers);
    write_configuration();
}

void Transport::service() {
    auto kick = page_.exchange32(offsetof(abi::VirtioPage, kick), 0);
    // The queues first: what the driver offered before it resets the device, as at a shutdown, is still to be done.
    for (std::uint32_t index = 0; index < AUKLET_MAX_QUEUES; ++index)
        if ((kick & (1U << index)) != 0)
            process(index);
    if ((kick & AUKLET_VIRTIO_KICK_STATUS) != 0)
        write_status();
    deliver_interrupts();
}

void Transport::write_status() {
    // The sequence first: if the driver writes once more meanwhile, it also kicks once more.
    auto sequence = page_.load32(offsetof(abi::VirtioPage, status_sequence));
    auto status = page_.load32(offsetof(abi::VirtioPage, status));
    if (status == 0) {
        reset();
    } else {
        if ((status & status_features_ok) != 0 && !features_accepted_) {
            // 2.2.2: a device does not accept a subset of its features that it cannot work with.
            auto low = page_.load32(offsetof(abi::VirtioPage, driver_features));
            auto high = page_.load32(offsetof(abi::VirtioPage, driver_features) + 4);
            if ((low & ~device_.features()) == 0 && high == feature_word_version_1) {
                features_accepted_ = true;
                features_ = low;
            } else {
                status &= ~status_features_ok;
            }
        }
        if ((status & status_driver_ok) != 0 && !active_ && !needs_reset_) {
            if (features_accepted_)
                activate();
            else
                stop("the driver set DRIVER_OK without FEATURES_OK");
        }
        if (needs_reset_)
            status |= status_needs_reset;
    }
    page_.store32(offsetof(abi::VirtioPage, status_result), status);
    page_.store32(offsetof(abi::VirtioPage, status_seen), sequence);
    page_.notify(offsetof(abi::VirtioPage, status_seen));
}

void Transport::reset() {
    if (active_)
        device_.reset();
    for (auto& queue : queues_)
        queue.reset();
    for (std::uint32_t index = 0; index < AUKLET_MAX_QUEUES; ++index)
        page_.store32(queue_field(index, offsetof(abi::VirtioQueue, ready)), 0);
    page_.store32(offsetof(abi::VirtioPage, interrupt), 0);
    page_.store32(offsetof(abi::VirtioPage, held), held_ = 0);
    features_accepted_ = false;
    active_ = false;
    needs_reset_ = false;
    failure_reason_.clear();
}

void Transport::activate() {
    const auto sizes = device_.queue_sizes();
    for (std::uint32_t index = 0; index < sizes.size(); ++index) {
        auto settings = page_.read_structure<abi::VirtioQueue>(queue_field(index, 0));
        if (settings.ready == 0)
            continue;
        auto queue = Virtqueue::create(
            memory_, {settings.size, settings.descriptors, settings.available, settings.used}, sizes[index]);
        if (!queue)
            return stop(text_of("queue ", index, ": ", message(queue.error())));
        queues_[index] = *queue;
    }
    // It may have changed while nobody looked.
    write_configuration();
    active_ = true;
    device_.activate(*this, features_);
    // 3.1.1 lets a driver fill queues before DRIVER_OK; it may not have kicked for them.
    for (std::uint32_t index = 0; index < sizes.size(); ++index)
        process(index);
}

Virtqueue* Transport::queue(std::uint32_t index) {
    if (!active_ || needs_reset_ || index >= queues_.size() || !queues_[index])
        return nullptr;
    return &*queues_[index];
}

void Transport::process(std::uint32_t index) {
    if (queue(index) == nullptr)
        return;
    if (auto processed = device_.process(index); !processed)
        stop(text_of("queue ", index, ": ", processed.error().message));
}

void Transport::run(std::uint32_t index) {
    process(index);
    deliver_interrupts();
}

void Transport::stop(std::string_view reason) {
    needs_reset_ = true;
    failure_reason_ = reason;
    events_.device_failed(device_.name(), reason);
    // 2.1.2: set DEVICE_NEEDS_RESET and, if DRIVER_OK is set, send a configuration change notification.
    page_.or32(offsetof(abi::VirtioPage, status_result), status_needs_reset);
    interrupt(AUKLET_VIRTIO_INT_CONFIG);
}

void Transport::deliver_interrupts() {
    bool wanted = false;
    for (auto& queue : queues_)
        if (queue && queue->take_interrupt())
            wanted = true;
    if (wanted)
        interrupt(AUKLET_VIRTIO_INT_RING);
}

void Transport::interrupt(std::uint32_t bits) {
    page_.or32(offsetof(abi::VirtioPage, interrupt), bits);
    events_.raise_interrupt(line_);
}

void Transport::hold(std::uint32_t queue, bool held) {
    held_ = held ? held_ | 1U << queue : held_ & ~(1U << queue);
    page_.store32(offsetof(abi::VirtioPage, held), held_);
    if (!held)
        interrupt(AUKLET_VIRTIO_INT_RELEASED);
}

void Transport::update_configuration() {
    write_configuration();
    if (active_ && !needs_reset_)
        interrupt(AUKLET_VIRTIO_INT_CONFIG);
}

void Transport::write_configuration() {
    auto bytes = device_.configuration();
    page_.store32(offsetof(abi::VirtioPage, config_generation), ++generation_);
    page_.write(AUKLET_VIRTIO_CONFIG,
                std::span(bytes).first(std::min<std::size_t>(bytes.size(), AUKLET_VIRTIO_CONFIG_SIZE)));
    page_.store32(offsetof(abi::VirtioPage, config_generation), ++generation_);
}

} // namespace auklet::virtio
