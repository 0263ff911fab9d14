// SPDX-License-Identifier: MIT
// The virtio transport over a control page in shared memory
// (docs/abi-engine.md). It takes the place of virtio-mmio (virtio 1.2, section
// 4.2).
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
#include <vector>

namespace auklet::virtio {

/// What a transport tells its machine.
class TransportEvents {
  public:
    virtual ~TransportEvents() = default;
    virtual void raise_interrupt(std::uint32_t line) = 0;
    virtual void device_failed(std::string_view device, std::string_view reason) = 0;
};

/// A chain that its device answers later. The device completes each exactly
/// once, whatever the driver does meanwhile.
struct Completion {
    std::uint32_t epoch; ///< how often the driver had reset the device
    std::uint16_t queue;
    std::uint16_t head;
};

class Transport {
  public:
    /// Initialises `page`, the device's control page. `line` is the device's
    /// interrupt line.
    Transport(GuestMemory& memory, GuestRegion page, std::uint32_t line, Device& device, TransportEvents& events);

    /// The driver rang the doorbell.
    void service();

    // For devices.

    /// Returns the queue. Returns nullptr if the driver has not set it up, or
    /// the device is not active.
    [[nodiscard]] Virtqueue* queue(std::uint32_t index);
    /// Lets the device work on a queue when the driver has not rung, for
    /// example because input arrived. An error stops the device here too.
    void run(std::uint32_t queue);
    /// Tells the driver of chains that the device has pushed outside of
    /// process().
    void deliver_interrupts();

    /// Keeps a chain, which the device has popped from `queue`, for complete().
    /// A reset of the device is not over before that.
    [[nodiscard]] Completion defer(std::uint32_t queue, const DescriptorChain& chain);
    /// Gives the chain back with `written` bytes in it. Drops it if the driver
    /// has reset the device, or the device has stopped. To be called in the
    /// host's thread, although the device's backend may have worked in another.
    /// Not to be called from process(), which pushes what it answers at once.
    void complete(const Completion& completion, std::uint32_t written);

    /// Asks the driver to put nothing that can wait into a queue, or withdraws
    /// that request.
    void hold(std::uint32_t queue, bool held);
    /// Writes the device's configuration anew, and tells the driver.
    void update_configuration();

    [[nodiscard]] bool active() const { return active_; }
    /// Says why the device has stopped. Empty if it has not.
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
    std::vector<std::byte> shown_; ///< the configuration in the page
    std::uint32_t held_ = 0;
    std::uint32_t epoch_ = 0;
    std::uint32_t deferred_ = 0;        ///< chains of this epoch not completed
    std::uint32_t status_sequence_ = 0; ///< of the status now acted on
    bool features_accepted_ = false;
    bool active_ = false;
    bool resetting_ = false;      ///< waits for deferred_ to become 0
    bool status_pending_ = false; ///< the driver wrote it while resetting_
    bool needs_reset_ = false;
    std::string failure_reason_;
};

} // namespace auklet::virtio
