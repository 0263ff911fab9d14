// SPDX-License-Identifier: MIT
// Device status, features, queue set-up and interrupts by the control page.

#include "transport.hpp"

#include <algorithm>
#include <utility>

namespace auklet::virtio {

namespace {

// virtio 1.2, 2.1: device status.
constexpr std::uint32_t status_driver_ok = 4;
constexpr std::uint32_t status_features_ok = 8;
constexpr std::uint32_t status_needs_reset = 64;

// 6: VIRTIO_F_INDIRECT_DESC. A request of many pages takes one descriptor of
// the queue.
constexpr std::uint64_t feature_indirect = std::uint64_t{1} << 28;
// 6: the driver must accept this feature, because there is no legacy interface.
constexpr std::uint64_t feature_version_1 = std::uint64_t{1} << 32;

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
    registers.device_features[0] = static_cast<std::uint32_t>(offered_features());
    registers.device_features[1] = static_cast<std::uint32_t>(offered_features() >> 32);
    registers.queue_count = static_cast<std::uint32_t>(sizes.size());
    for (std::size_t index = 0; index < sizes.size() && index < AUKLET_MAX_QUEUES; ++index)
        registers.queue[index].size_max = sizes[index];
    page_.write_structure(0, registers);
    write_configuration();
}

std::uint64_t Transport::offered_features() const { return device_.features() | feature_indirect | feature_version_1; }

void Transport::service() {
    auto kick = page_.exchange32(offsetof(abi::VirtioPage, kick), 0);
    // The queues come first. The driver may have offered chains and then reset
    // the device, as at a shutdown. The device must still do that work.
    for (std::uint32_t index = 0; index < AUKLET_MAX_QUEUES; ++index)
        if ((kick & (1U << index)) != 0)
            process(index);
    if ((kick & AUKLET_VIRTIO_KICK_CONFIG) != 0)
        take_configuration_write();
    if ((kick & AUKLET_VIRTIO_KICK_STATUS) != 0)
        write_status();
    deliver_interrupts();
}

void Transport::write_status() {
    // A driver should wait for the end of a reset. If it does not, the
    // transport acts on its status after that end.
    if (resetting_) {
        status_pending_ = true;
        return;
    }
    // Read the sequence first: if the driver writes once more meanwhile, it
    // also kicks once more.
    status_sequence_ = page_.load32(offsetof(abi::VirtioPage, status_sequence));
    auto status = page_.load32(offsetof(abi::VirtioPage, status));
    if (status == 0)
        begin_reset();
    else
        acknowledge_status(accept_status(status));
}

std::uint32_t Transport::accept_status(std::uint32_t status) {
    // 2.2.2: a device does not accept a subset of its features that it cannot
    // work with.
    if ((status & status_features_ok) != 0 && !features_accepted_ && !accept_features())
        status &= ~status_features_ok;
    if ((status & status_driver_ok) != 0 && !active_ && !needs_reset_) {
        if (features_accepted_)
            activate();
        else
            stop("the driver set DRIVER_OK without FEATURES_OK");
    }
    return needs_reset_ ? status | status_needs_reset : status;
}

bool Transport::accept_features() {
    const std::uint64_t low = page_.load32(offsetof(abi::VirtioPage, driver_features));
    const std::uint64_t high = page_.load32(offsetof(abi::VirtioPage, driver_features) + 4);
    features_ = high << 32 | low;
    features_accepted_ = (features_ & ~offered_features()) == 0 && (features_ & feature_version_1) != 0;
    return features_accepted_;
}

void Transport::acknowledge_status(std::uint32_t status) {
    page_.store32(offsetof(abi::VirtioPage, status_result), status);
    page_.store32(offsetof(abi::VirtioPage, status_seen), status_sequence_);
    page_.notify(offsetof(abi::VirtioPage, status_seen));
}

void Transport::begin_reset() {
    resetting_ = true;
    // A device may also have been stopped before it was active.
    const bool in_use = active_ || needs_reset_;
    active_ = false;
    if (in_use)
        device_.reset();
    if (resetting_ && deferred_ == 0)
        finish_reset();
}

/// Tells the driver that it may use the memory of its requests again. So no
/// chain may be deferred any more.
void Transport::finish_reset() {
    resetting_ = false;
    ++epoch_;
    for (auto& queue : queues_)
        queue.reset();
    for (std::uint32_t index = 0; index < AUKLET_MAX_QUEUES; ++index)
        page_.store32(queue_field(index, offsetof(abi::VirtioQueue, ready)), 0);
    page_.store32(offsetof(abi::VirtioPage, interrupt), 0);
    page_.store32(offsetof(abi::VirtioPage, held), held_ = 0);
    features_accepted_ = false;
    needs_reset_ = false;
    failure_reason_.clear();
    acknowledge_status(0);
}

/// Acts on a status that the driver wrote during a reset, once the reset is
/// over. Acts on one only: a driver that writes its status without end must
/// ring for each, so it cannot hold the host's event loop.
void Transport::act_on_pending_status() {
    if (!resetting_ && std::exchange(status_pending_, false))
        write_status();
}

Completion Transport::defer(std::uint32_t queue, const DescriptorChain& chain) {
    ++deferred_;
    return {epoch_, static_cast<std::uint16_t>(queue), chain.head};
}

void Transport::complete(const Completion& completion, std::uint32_t written) {
    if (completion.epoch != epoch_ || deferred_ == 0)
        return;
    --deferred_;
    if (auto* chains = queue(completion.queue)) {
        chains->push(completion.head, written);
        deliver_interrupts();
    }
    if (resetting_ && deferred_ == 0) {
        finish_reset();
        act_on_pending_status();
        deliver_interrupts();
    }
}

void Transport::activate() {
    const auto sizes = device_.queue_sizes();
    for (std::uint32_t index = 0; index < sizes.size(); ++index) {
        auto settings = page_.read_structure<abi::VirtioQueue>(queue_field(index, 0));
        if (settings.ready == 0)
            continue;
        auto queue =
            Virtqueue::create(memory_, {settings.size, settings.descriptors, settings.available, settings.used},
                              sizes[index], (features_ & feature_indirect) != 0);
        if (!queue)
            return stop(text_of("queue ", index, ": ", message(queue.error())));
        queues_[index] = *queue;
    }
    // The device may have changed its configuration while it had no driver: it
    // knew no transport then. The driver has read the old one already.
    const auto read = shown_;
    write_configuration();
    active_ = true;
    device_.activate(*this, features_);
    if (shown_ != read)
        interrupt(AUKLET_VIRTIO_INT_CONFIG);
    // 3.1.1 lets a driver fill queues before DRIVER_OK, but not kick for them.
    for (std::uint32_t index = 0; index < sizes.size(); ++index)
        process(index);
}

Virtqueue* Transport::queue(std::uint32_t index) {
    if (!active_ || needs_reset_ || index >= queues_.size() || !queues_[index])
        return nullptr;
    return &*queues_[index];
}

/// While the device works on a queue, the driver need not ring for what it adds
/// there: the device looks at the queue again. The second pass is with
/// notifications. A limit of the device ends it after more chains than were
/// there at its start, so the driver has rung for all that are left.
void Transport::process(std::uint32_t index) {
    auto* chains = queue(index);
    if (chains == nullptr)
        return;
    chains->suppress_notifications();
    for (int pass = 0; pass < 2; ++pass) {
        if (auto processed = device_.process(index); !processed)
            return stop(text_of("queue ", index, ": ", processed.error().message));
        // Work on another queue may have stopped the device meanwhile.
        if (queue(index) == nullptr || !device_.needs_notifications(index) || !chains->allow_notifications())
            return;
    }
}

void Transport::run(std::uint32_t index) {
    process(index);
    deliver_interrupts();
}

void Transport::stop(std::string_view reason) {
    needs_reset_ = true;
    failure_reason_ = reason;
    events_.device_failed(device_.name(), reason);
    // 2.1.2: set DEVICE_NEEDS_RESET and, if DRIVER_OK is set, send a
    // configuration change notification.
    page_.or32(offsetof(abi::VirtioPage, status_result), status_needs_reset);
    interrupt(AUKLET_VIRTIO_INT_CONFIG);
    device_.stopped();
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

void Transport::take_configuration_write() {
    const auto sequence = page_.load32(offsetof(abi::VirtioPage, config_sequence));
    const auto offset = page_.load32(offsetof(abi::VirtioPage, config_offset));
    const auto length = page_.load32(offsetof(abi::VirtioPage, config_length));
    const auto value = page_.read_structure<std::array<std::byte, AUKLET_VIRTIO_CONFIG_WRITE>>(
        offsetof(abi::VirtioPage, config_value));
    const std::uint64_t size = device_.configuration().size();
    if (length <= value.size() && std::uint64_t{offset} + length <= size) {
        device_.write_configuration(offset, std::span(value).first(length));
        write_configuration();
    }
    page_.store32(offsetof(abi::VirtioPage, config_seen), sequence);
    page_.notify(offsetof(abi::VirtioPage, config_seen));
}

void Transport::write_configuration() {
    const auto bytes = device_.configuration();
    shown_.assign(bytes.begin(),
                  bytes.begin() + std::min<std::ptrdiff_t>(std::ssize(bytes), AUKLET_VIRTIO_CONFIG_SIZE));
    page_.store32(offsetof(abi::VirtioPage, config_generation), ++generation_);
    page_.write(AUKLET_VIRTIO_CONFIG, shown_);
    page_.store32(offsetof(abi::VirtioPage, config_generation), ++generation_);
}

} // namespace auklet::virtio
