// SPDX-License-Identifier: MIT
// The virtio transport over a control page in shared memory
// (docs/abi-engine.md), in the place of virtio-mmio (virtio 1.2, section 4.2).
#pragma once

#include "../abi.hpp"
#include "../guest_memory.hpp"
#include "device.hpp"
#include "virtqueue.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auklet::virtio {

/// What a transport is connected to.
class TransportEvents {
  public:
    virtual ~TransportEvents() = default;
    virtual void raise_interrupt(std::uint32_t line) = 0;
    virtual void device_failed(std::string_view device, std::string_view reason) = 0;
};

/// A chain that its device answers later. Each is completed exactly once, whatever happens to the driver meanwhile.
struct Completion {
    std::uint32_t epoch; ///< how often the device was reset before
    std::uint16_t queue;
    std::uint16_t head;
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

    /// Keeps a chain that was popped from `queue` for complete(). A reset of the device is not over before.
    [[nodiscard]] Completion defer(std::uint32_t queue, const DescriptorChain& chain);
    /// Gives the chain back, with `written` bytes in it, unless the driver has reset the device or the device has
    /// stopped. To be called in the host's thread; the device's backend may have worked in another one. Not from
    /// process(): what is answered at once is pushed there.
    void complete(const Completion& completion, std::uint32_t written);

    /// Asks the driver to put nothing into a queue that can wait, or ends that.
    void hold(std::uint32_t queue, bool held);
    /// Writes the device's configuration anew and tells the driver.
    void update_configuration();

    [[nodiscard]] bool active() const { return active_; }
    /// A message if the device has stopped because of the driver's errors.
    [[nodiscard]] const std::string& failure_reason() const { return failure_reason_; }

  private:
    void write_status();
    [[nodiscard]] std::uint32_t accept_status(std::uint32_t status);
    [[nodiscard]] bool accept_features();
    void acknowledge_status(std::uint32_t status);
    void begin_reset();
    void finish_reset();
    void act_on_pending_status();
    void activate();
    void process(std::uint32_t index);
    void stop(std::string_view reason);
    void deliver_interrupts();
    void interrupt(std::uint32_t bits);
    void take_configuration_write();
    void write_configuration();

    [[nodiscard]] std::uint64_t offered_features() const;

    GuestMemory& memory_;
    GuestRegion page_;
    std::uint32_t line_;
    Device& device_;
    TransportEvents& events_;
    std::array<std::optional<Virtqueue>, AUKLET_MAX_QUEUES> queues_;
    std::uint64_t features_ = 0;
    std::uint32_t generation_ = 0;
    std::uint32_t held_ = 0;
    std::uint32_t epoch_ = 0;
    std::uint32_t deferred_ = 0;        ///< chains of this epoch that are not completed
    std::uint32_t status_sequence_ = 0; ///< of the status that is being acted on
    bool features_accepted_ = false;
    bool active_ = false;
    bool resetting_ = false;      ///< waits for deferred_ to become 0
    bool status_pending_ = false; ///< the driver wrote its status while resetting_
    bool needs_reset_ = false;
    std::string failure_reason_;
};

} // namespace auklet::virtio
