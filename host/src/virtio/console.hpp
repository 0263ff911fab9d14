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

/// The device does not offer F_MULTIPORT. So Linux makes /dev/hvc0 while it
/// probes the device. With F_MULTIPORT, Linux makes it later, in a work item
/// that races with the opening of /dev/console. The socket device has all other
/// streams.
class ConsoleDevice final : public Device {
  public:
    struct Size {
        std::uint16_t columns;
        std::uint16_t rows;
    };

    ConsoleDevice(Size size, ConsoleBackend& backend) : size_(size), backend_(backend) {}

    /// Appends bytes to the guest's input. The device keeps all of them until
    /// the guest has taken them.
    void input(std::span<const std::byte> bytes);
    /// Sets the size of the screen. Ignores a size without columns or rows,
    /// because programs divide by these.
    void resize(Size size);
    /// How many bytes of input the guest has not taken.
    [[nodiscard]] std::size_t queued() const { return queued_; }

    /// The receiver of the output has done with `count` bytes of it.
    void output_taken(std::size_t count);
    /// Hands on all output, even if nobody takes it. The machine has ended, and
    /// its last output is in the queues.
    void flush_output();

    /// The device asks the driver to wait (Transport::hold) when more bytes of
    /// output than this are handed on and not taken.
    static constexpr std::size_t output_limit = 128 * 1024;
    /// The device hands on no more output beyond so many bytes. The kernel's
    /// own messages come in spite of the request to wait, because they may not
    /// wait for a terminal.
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
    std::size_t first_offset_ = 0; ///< what the guest has of input_.front()
    std::size_t queued_ = 0;
    bool listens_ = false; ///< the driver's console layer takes input

    std::optional<DescriptorChain> sending_; ///< a chain handed on in part
    std::size_t handed_on_ = 0;              ///< bytes that are not taken yet
    bool held_ = false;                      ///< the driver was asked to wait
    bool unlimited_ = false;
};

} // namespace auklet::virtio
