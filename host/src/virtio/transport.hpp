// SPDX-License-Identifier: MIT
// The virtio transport over a control page in shared memory (docs/abi.md), in the place of virtio-mmio (virtio 1.2,
// section 4.2), and the interface between it and a device.
#pragma once

#include "../abi.hpp"
#include "../guest_memory.hpp"
#include "virtqueue.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace auklet::virtio {

class Transport;

/// One kind of device. Its functions are called by the transport, never while another of them runs.
class Device {
  public:
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Section 5: the device's type.
    [[nodiscard]] virtual std::uint32_t type() const = 0;
    /// Feature bits 0 to 23, besides VIRTIO_F_VERSION_1.
    [[nodiscard]] virtual std::uint32_t features() const = 0;
    /// The largest size of each queue.
    [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const = 0;
    [[nodiscard]] virtual std::vector<std::byte> configuration() const = 0;

    /// The driver set DRIVER_OK with these features.
    virtual void activate(Transport& transport, std::uint32_t features) = 0;
    /// The driver reset the device; queues are gone.
    virtual void reset() = 0;
    /// The driver put something into a queue. Errors stop the device.
    [[nodiscard]] virtual Result<void> process(std::uint32_t queue) = 0;
};

/// What a device is connected to.
class TransportEvents {
  public:
    virtual ~TransportEvents() = default;
    virtual void raise_interrupt(std::uint32_t line) = 0;
    virtual void device_failed(std::string_view device, std::string_view reason) = 0;
};

class Transport {
  public:
    /// `page` is the device's control page; it is initialised here.
    Transport(GuestMemory& memory, GuestRegion page, std::uint32_t line, Device& device, TransportEvents& events);

    /// The driver rang the doorbell.
    void service();

    // For devices.

    /// The queue, if the device is active and the driver set it up.
    [[nodiscard]] Virtqueue* queue(std::uint32_t index);
    /// Lets the device work on a queue outside of a notification (input arrived), with the same error handling.
    void run(std::uint32_t queue);
    /// Asks the driver to put nothing into a queue that can wait, or ends that.
    void hold(std::uint32_t queue, bool held);
    /// Writes the device's configuration anew and tells the driver.
    void update_configuration();

    [[nodiscard]] bool active() const { return active_; }
    /// A message if the device has stopped because of the driver's errors.
    [[nodiscard]] const std::string& failure_reason() const { return failure_reason_; }

  private:
    void write_status();
    void reset();
    void activate();
    void process(std::uint32_t index);
    void stop(std::string_view reason);
    void deliver_interrupts();
    void interrupt(std::uint32_t bits);
    void write_configuration();

    GuestMemory& memory_;
    GuestRegion page_;
    std::uint32_t line_;
    Device& device_;
    TransportEvents& events_;
    std::array<std::optional<Virtqueue>, AUKLET_MAX_QUEUES> queues_;
    std::uint32_t features_ = 0;
    std::uint32_t generation_ = 0;
    std::uint32_t held_ = 0;
    bool features_accepted_ = false;
    bool active_ = false;
    bool needs_reset_ = false;
    std::string failure_reason_;
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
