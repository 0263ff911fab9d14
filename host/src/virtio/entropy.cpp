// SPDX-License-Identifier: MIT
// virtio-rng: random bytes for the guest (virtio 1.2, section 5.4).

#include "entropy.hpp"

#include <algorithm>
#include <array>

namespace auklet::virtio {

namespace {

constexpr std::uint32_t device_type = 4; // 5.4.1
// 5.4.2: requestq. Linux has one request in flight.
constexpr std::uint16_t queues[] = {8};

/// Bytes. No answer is longer, so that one chain over all of memory cannot hold
/// the host. 5.4.6.2 allows the device to return fewer bytes than the driver
/// has asked for.
constexpr std::size_t longest_answer = 4096;

} // namespace

std::uint32_t EntropyDevice::type() const { return device_type; }

std::span<const std::uint16_t> EntropyDevice::queue_sizes() const { return queues; }

void EntropyDevice::activate(Transport& transport, std::uint64_t) { transport_ = &transport; }

void EntropyDevice::reset() { transport_ = nullptr; }

Result<void> EntropyDevice::process(std::uint32_t queue) {
    return for_each_chain(*transport_->queue(queue), [&](DescriptorChain& chain) {
        std::array<std::byte, longest_answer> bytes;
        auto answer = std::span(bytes).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(chain.writer.remaining(), bytes.size())));
        random_.random(answer);
        chain.writer.write(answer);
    });
}

} // namespace auklet::virtio
