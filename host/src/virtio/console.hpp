// SPDX-License-Identifier: MIT
// virtio-console: the console (virtio 1.2, section 5.3).
#pragma once

#include "../backends/console.hpp"
#include "transport.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace auklet::virtio {

/// The device does not offer F_MULTIPORT: Linux then makes /dev/hvc0 while it probes the device, and not later in a
/// work item which races with the opening of /dev/console. Other streams are the socket device's.
class ConsoleDevice final : public Device {
  public:
    struct Size {
        std::uint16_t columns;
        std::uint16_t rows;
    };

    ConsoleDevice(Size size, ConsoleBackend& backend) : size_(size), backend_(backend) {}

    /// Appends bytes to what the guest will read; everything is kept until it does.
    void input(std::span<const std::byte> bytes);
    /// A size of no columns or rows is ignored: programs divide by these.
    void resize(Size size);
    /// Bytes of input that the guest has not taken.
    [[nodiscard]] std::size_t queued() const { return queued_; }

    /// Who gets the output has done with so many bytes of it.
    void output_taken(std::size_t count);
    /// Hands on all output, whoever takes it: the machine has ended, and what is in the queues is the last.
    void flush_output();

    /// Bytes of output that are handed on and not taken, after which the driver is asked to wait (Transport::hold).
    static constexpr std::size_t output_limit = 128 * 1024;
    /// The kernel's own messages pass that request: they may not wait for a terminal. So the device takes more, but not
    /// for ever.
    static constexpr std::size_t most_output = 2 * 1024 * 1024;

    [[nodiscard]] std::string_view name() const override { return "console"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::uint64_t features() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override;

    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;

  private:
    [[nodiscard]] Result<void> transmit();
    [[nodiscard]] Result<void> receive();
    [[nodiscard]] bool may_hand_on() const { return unlimited_ || handed_on_ < most_output; }
    void ask_to_wait();

    Size size_;
    ConsoleBackend& backend_;
    Transport* transport_ = nullptr;

    std::deque<std::vector<std::byte>> input_;
    std::size_t first_offset_ = 0; ///< bytes of input_.front() that the guest has
    std::size_t queued_ = 0;
    bool listens_ = false; ///< the driver's console layer reads

    std::optional<DescriptorChain> sending_; ///< is handed on in part
    std::size_t handed_on_ = 0;              ///< bytes of output that are not taken
    bool held_ = false;                      ///< the driver was asked to wait
    bool unlimited_ = false;
};

} // namespace auklet::virtio
