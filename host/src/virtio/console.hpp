// SPDX-License-Identifier: MIT
// virtio-console: the console, and named byte channels next to it (virtio 1.2, section 5.3).
#pragma once

#include "transport.hpp"

#include <deque>
#include <optional>
#include <string>

namespace auklet::virtio {

/// Where a console's bytes go. Ports are numbered by the device.
class ConsoleEvents {
  public:
    virtual ~ConsoleEvents() = default;
    virtual void console_output(std::uint32_t port, std::span<const std::byte> bytes) = 0;
    /// So many bytes of input are in the driver's buffers now.
    virtual void console_consumed(std::uint32_t port, std::size_t count) = 0;
    virtual void console_opened(std::uint32_t port, bool open) = 0;
};

/// One port of a console device.
struct ConsolePort {
    enum class Kind : std::uint8_t { console, channel };
    Kind kind = Kind::channel;
    /// What the guest shows in /sys/class/virtio-ports/*/name; nothing for a console.
    std::string name = {};
};

/// With one console port and nothing else, the device does not offer F_MULTIPORT: Linux then makes /dev/hvc0
/// while it probes the device, and not later in a work item which races with the opening of /dev/console.
class ConsoleDevice final : public Device {
  public:
    struct Size {
        std::uint16_t columns;
        std::uint16_t rows;
    };

    /// Ports that fit into one device: two queues each, and two for control messages.
    static constexpr std::size_t most_ports = AUKLET_MAX_QUEUES / 2 - 1;

    ConsoleDevice(std::vector<ConsolePort> ports, Size size, ConsoleEvents& events);

    /// Appends bytes to what the guest will read; everything is kept until it does.
    void input(std::uint32_t port, std::span<const std::byte> bytes);
    /// The guest reads end-of-file after what was appended. Only with F_MULTIPORT.
    void close_input(std::uint32_t port);
    void resize(Size size);
    /// Bytes of input that the guest has not taken.
    [[nodiscard]] std::size_t queued(std::uint32_t port) const;

    /// Who gets the output has done with so many bytes of it. The guest waits while more than output_limit are on their
    /// way.
    void output_taken(std::uint32_t port, std::size_t count);
    /// Whether the guest has written what is not handed on, because of that limit.
    [[nodiscard]] bool output_waits(std::uint32_t port);
    /// Hands on all output, whoever takes it: the machine has ended, and what is in the queues is the last.
    void flush_output();

    /// Bytes of a port's output that are handed on and not taken.
    static constexpr std::size_t output_limit = 128 * 1024;
    /// The same for a console. There the limit is a request to the driver (Transport::hold), which the kernel's own
    /// messages pass: they may not wait for a terminal. So the device takes more, but not for ever.
    static constexpr std::size_t console_limit = 2 * 1024 * 1024;

    [[nodiscard]] std::string_view name() const override { return "console"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::uint32_t features() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return queue_sizes_; }
    [[nodiscard]] std::vector<std::byte> configuration() const override;

    void activate(Transport& transport, std::uint32_t features) override;
    void reset() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;

  private:
    struct Port {
        ConsolePort description;
        std::deque<std::vector<std::byte>> input = {};
        std::size_t first_offset = 0; ///< bytes of input.front() that the guest has
        std::size_t queued = 0;
        bool ready = false;                          ///< the driver knows the port
        bool open = false;                           ///< a program in the guest, or its console layer, reads
        bool closing = false;                        ///< end-of-file after the input
        bool closed = false;                         ///< the driver was told so
        std::size_t handed_on = 0;                   ///< bytes of output that are not taken
        std::optional<DescriptorChain> sending = {}; ///< is handed on in part
        bool held = false;                           ///< the driver was asked to wait
    };

    [[nodiscard]] bool multiport() const { return (features_ & feature_multiport) != 0; }
    [[nodiscard]] Result<void> transmit(std::uint32_t port);
    [[nodiscard]] bool may_hand_on(const Port& port) const;
    void hold_console(std::uint32_t port);
    [[nodiscard]] Result<void> receive(std::uint32_t port);
    [[nodiscard]] Result<void> receive_control();
    [[nodiscard]] Result<void> transmit_control();
    void handle_control(std::uint32_t id, std::uint16_t event, std::uint16_t value);
    void send_control(std::uint32_t port, std::uint16_t event, std::uint16_t value,
                      std::span<const std::byte> extra = {});
    void send_size(std::uint32_t port);
    void set_open(std::uint32_t port, bool open);

    static constexpr std::uint32_t feature_size = 1 << 0;      // 5.3.3: VIRTIO_CONSOLE_F_SIZE
    static constexpr std::uint32_t feature_multiport = 1 << 1; // 5.3.3: VIRTIO_CONSOLE_F_MULTIPORT

    std::vector<Port> ports_;
    std::vector<std::uint16_t> queue_sizes_;
    Size size_;
    ConsoleEvents& events_;
    Transport* transport_ = nullptr;
    std::uint32_t features_ = 0;
    bool unlimited_ = false;
    std::deque<std::vector<std::byte>> control_; ///< messages that wait for a buffer of the driver
};

} // namespace auklet::virtio
