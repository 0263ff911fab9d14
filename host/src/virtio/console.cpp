// SPDX-License-Identifier: MIT
// virtio-console: the console (virtio 1.2, section 5.3).

#include "console.hpp"

#include <algorithm>
#include <array>

namespace auklet::virtio {

namespace {

constexpr std::uint32_t device_type = 3;        // 5.3.1
constexpr std::uint64_t feature_size = 1U << 0; // 5.3.3: VIRTIO_CONSOLE_F_SIZE

// 5.3.2: receiveq and transmitq of port 0. Linux fills the receive queue with
// pages. 16 of them have 64 KiB. More would only use memory.
constexpr std::uint32_t receive_queue = 0; // to the guest
constexpr std::uint32_t transmit_queue = 1;
constexpr std::uint16_t queues[] = {16, 64};

// 5.3.4: struct virtio_console_config {
//     le16 cols; le16 rows; le32 max_nr_ports; le32 emerg_wr; }
struct DeviceConfiguration {
    std::uint16_t columns;
    std::uint16_t rows;
    std::uint32_t most_ports;
    std::uint32_t emergency_write;
};
static_assert(sizeof(DeviceConfiguration) == 12);

/// The device hands on output in pieces of this size. So a chain over all of
/// memory needs no buffer of that size.
constexpr std::size_t output_piece = 16384;

} // namespace

std::uint32_t ConsoleDevice::type() const { return device_type; }

std::uint64_t ConsoleDevice::features() const { return feature_size; }

std::span<const std::uint16_t> ConsoleDevice::queue_sizes() const { return queues; }

std::vector<std::byte> ConsoleDevice::configuration() const {
    const DeviceConfiguration configuration{size_.columns, size_.rows, 1, 0};
    auto bytes = std::as_bytes(std::span(&configuration, 1));
    return {bytes.begin(), bytes.end()};
}

void ConsoleDevice::activate(Transport& transport, std::uint64_t) { transport_ = &transport; }

void ConsoleDevice::reset() {
    // The input that the guest has not taken stays for the next driver.
    transport_ = nullptr;
    sending_.reset();
    held_ = false;
    listens_ = false;
}

Result<void> ConsoleDevice::process(std::uint32_t queue) { return queue == receive_queue ? receive() : transmit(); }

/// Hands on output. The guest wrote, or the receiver took some of its output.
Result<void> ConsoleDevice::transmit() {
    auto* queue = transport_->queue(transmit_queue);
    std::array<std::byte, output_piece> piece;
    bool any = false;
    // The loop ends after so many chains: a driver that adds chains as fast as
    // the device takes them must not hold the host's event loop. Such a driver
    // rings again.
    for (std::uint32_t count = 0; queue != nullptr && count < 2 * queue->size() && may_hand_on(); ++count) {
        if (!sending_) {
            auto chain = queue->pop();
            if (!chain)
                return failure(message(chain.error()));
            if (!*chain)
                break;
            sending_ = std::move(**chain);
        }
        any = true;
        while (may_hand_on()) {
            auto size = sending_->reader.read(piece);
            if (size == 0)
                break;
            handed_on_ += size;
            backend_.console_output(std::span(piece).first(size));
        }
        if (sending_->reader.remaining() == 0) {
            queue->push(*sending_);
            sending_.reset();
        }
    }
    ask_to_wait();
    // Linux drops what it receives before its console layer listens. Nothing
    // tells when that is, but the layer listens before it writes for the first
    // time.
    if (any && !listens_) {
        listens_ = true;
        return receive();
    }
    return {};
}

void ConsoleDevice::ask_to_wait() {
    // Between half of the limit and the limit, the request stays as it is.
    // Otherwise it might change with every piece of output.
    const bool hold = !unlimited_ && (held_ ? handed_on_ > output_limit / 2 : handed_on_ > output_limit);
    if (hold != held_)
        transport_->hold(transmit_queue, held_ = hold);
}

void ConsoleDevice::output_taken(std::size_t count) {
    handed_on_ -= std::min(handed_on_, count);
    if (transport_ != nullptr)
        transport_->run(transmit_queue);
}

void ConsoleDevice::flush_output() {
    unlimited_ = true;
    if (transport_ != nullptr)
        transport_->run(transmit_queue);
}

/// Moves input to the guest, as far as the guest has given buffers.
Result<void> ConsoleDevice::receive() {
    auto* queue = transport_->queue(receive_queue);
    if (queue == nullptr || !listens_)
        return {};
    std::size_t delivered = 0;
    while (queued_ != 0) {
        auto chain = queue->pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            break;
        auto& writer = (*chain)->writer;
        if (writer.remaining() == 0)
            return failure("an input buffer that the device cannot write to");
        while (queued_ != 0 && writer.remaining() != 0) {
            auto& first = input_.front();
            auto count = writer.write(std::span(first).subspan(first_offset_));
            first_offset_ += count;
            queued_ -= count;
            delivered += count;
            if (first_offset_ == first.size()) {
                input_.pop_front();
                first_offset_ = 0;
            }
        }
        queue->push(**chain);
    }
    if (delivered != 0)
        backend_.console_consumed(delivered);
    return {};
}

void ConsoleDevice::input(std::span<const std::byte> bytes) {
    if (bytes.empty())
        return;
    input_.emplace_back(bytes.begin(), bytes.end());
    queued_ += bytes.size();
    if (transport_ != nullptr)
        transport_->run(receive_queue);
}

void ConsoleDevice::resize(Size size) {
    if (size.columns == 0 || size.rows == 0)
        return;
    size_ = size;
    if (transport_ != nullptr)
        transport_->update_configuration();
}

} // namespace auklet::virtio
