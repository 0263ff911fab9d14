// SPDX-License-Identifier: MIT
// The interface between a device and its transport. docs/devices.md has the
// steps to a new device.
#pragma once

#include "virtqueue.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace auklet::virtio {

class Transport;

/// One kind of device. Its transport calls these functions in the host's
/// thread, and never one of them inside of another, unless the device has
/// called Transport::run there.
class Device {
  public:
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Section 5: the device's type.
    [[nodiscard]] virtual std::uint32_t type() const = 0;
    /// Section 2.2: the feature bits of this kind of device, which are 0 to 23
    /// and 50 to 63. The transport adds those of section 6.
    [[nodiscard]] virtual std::uint64_t features() const { return 0; }
    /// The largest size of each queue.
    [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const = 0;
    /// The bytes of the configuration space.
    [[nodiscard]] virtual std::vector<std::byte> configuration() const { return {}; }
    /// The driver wrote bytes to the configuration space, from an offset on.
    /// They are within configuration().size(). Afterwards the transport shows
    /// the driver configuration() again, so the device may ignore a write.
    virtual void write_configuration(std::uint32_t, std::span<const std::byte>) {}

    /// The driver accepted these features, and set DRIVER_OK.
    virtual void activate(Transport& transport, std::uint64_t features) = 0;
    /// The driver has reset the device. Transport::queue() returns nullptr from
    /// now on. The driver is told that the reset is over when every chain that
    /// the device took over with Transport::defer is completed. Then it uses
    /// that memory for other things.
    virtual void reset() = 0;
    /// The driver has made an error. It gets nothing back until it resets the
    /// device.
    virtual void stopped() {}
    /// The driver has put something into a queue. An error stops the device.
    /// A device that leaves chains in the queue for another reason than a limit
    /// of at least size() chains looks at them again by itself.
    [[nodiscard]] virtual Result<void> process(std::uint32_t queue) = 0;
    /// Whether the device has to hear of new chains in a queue when it has done
    /// with process(). One that says no looks at the queue by itself, or calls
    /// Virtqueue::allow_notifications when it has to hear of them.
    [[nodiscard]] virtual bool needs_notifications(std::uint32_t) const { return true; }
};

/// Takes each chain of a queue, and calls `take(chain)`, which returns a
/// Result<void>, until the queue is empty. Fails if a chain is malformed, or
/// `take` fails.
template <typename Take> [[nodiscard]] Result<void> take_chains(Virtqueue& queue, Take&& take) {
    // The loop ends after so many chains: a driver that adds chains as fast as
    // the device takes them must not hold the host's event loop. Such a driver
    // rings again.
    for (std::uint32_t count = 0; count < 2 * queue.size(); ++count) {
        auto chain = queue.pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            return {};
        if (Result<void> taken = take(**chain); !taken)
            return taken;
    }
    return {};
}

/// Calls `handle(chain)` for each chain of a queue, and gives the chain back.
template <typename Handle> [[nodiscard]] Result<void> for_each_chain(Virtqueue& queue, Handle&& handle) {
    return take_chains(queue, [&](DescriptorChain& chain) -> Result<void> {
        handle(chain);
        queue.push(chain);
        return {};
    });
}

} // namespace auklet::virtio
