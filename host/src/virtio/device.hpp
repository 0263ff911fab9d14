// SPDX-License-Identifier: MIT
// The interface between a device and its transport. docs/devices.md has the steps to a new device.
#pragma once

#include "virtqueue.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace auklet::virtio {

class Transport;

/// One kind of device. Its transport calls these functions in the host's thread, never one inside of another.
class Device {
  public:
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Section 5: the device's type.
    [[nodiscard]] virtual std::uint32_t type() const = 0;
    /// The device's own feature bits: 0 to 23, and 50 to 63. The transport adds those of section 6.
    [[nodiscard]] virtual std::uint64_t features() const { return 0; }
    /// The largest size of each queue.
    [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const = 0;
    [[nodiscard]] virtual std::vector<std::byte> configuration() const { return {}; }
    /// The driver wrote bytes to the configuration space from an offset on, within configuration().size(). It reads
    /// configuration() again afterwards: what the device does not take over there was not written.
    virtual void write_configuration(std::uint32_t, std::span<const std::byte>) {}

    /// The driver set DRIVER_OK with these features.
    virtual void activate(Transport& transport, std::uint64_t features) = 0;
    /// The driver reset the device; its queues are gone. The transport tells the driver so when every chain that the
    /// device took over with Transport::defer is completed: from then on, the driver uses that memory for other things.
    virtual void reset() = 0;
    /// The driver has made an error, and gets nothing back until it resets the device.
    virtual void stopped() {}
    /// The driver put something into a queue. Errors stop the device.
    [[nodiscard]] virtual Result<void> process(std::uint32_t queue) = 0;
};

/// Takes each chain of a queue, calls `handle(chain)` and gives it back, until the queue is empty.
template <typename Handle> [[nodiscard]] Result<void> for_each_chain(Virtqueue& queue, Handle&& handle) {
    // A driver that adds chains as fast as they are taken must not hold the host's event loop: it rings again.
    for (std::uint32_t count = 0; count < 2 * queue.size(); ++count) {
        auto chain = queue.pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            return {};
        handle(**chain);
        queue.push(**chain);
    }
    return {};
}

} // namespace auklet::virtio
