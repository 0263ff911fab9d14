// SPDX-License-Identifier: MIT
// virtio-console: the console, and named byte channels next to it (virtio 1.2, section 5.3).

#include "console.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace auklet::virtio {

namespace {

constexpr std::uint32_t device_type = 3; // 5.3.1

// 5.3.2: queues 0 and 1 are port 0's, 2 and 3 carry control messages, 4 and 5 are port 1's, and so on. The even ones
// go to the driver.
constexpr std::uint32_t control_receive_queue = 2;
constexpr std::uint32_t control_transmit_queue = 3;
constexpr std::uint32_t receive_queue(std::uint32_t port) { return port == 0 ? 0 : 2 + 2 * port; }
constexpr std::uint32_t transmit_queue(std::uint32_t port) { return receive_queue(port) + 1; }

/// Linux fills an input queue with pages: 16 of them take 64 KiB, and more would only be memory.
constexpr std::uint16_t receive_size = 16;
constexpr std::uint16_t transmit_size = 64;

// 5.3.4: struct virtio_console_config { le16 cols; le16 rows; le32 max_nr_ports; le32 emerg_wr; }
struct DeviceConfiguration {
    std::uint16_t columns;
    std::uint16_t rows;
    std::uint32_t most_ports;
    std::uint32_t emergency_write;
};
static_assert(sizeof(DeviceConfiguration) == 12);

// 5.3.6.2: struct virtio_console_control { le32 id; le16 event; le16 value; }
struct Control {
    std::uint32_t id;
    std::uint16_t event;
    std::uint16_t value;
};
static_assert(sizeof(Control) == 8);
constexpr std::uint16_t control_device_ready = 0;
constexpr std::uint16_t control_port_add = 1;
constexpr std::uint16_t control_port_ready = 3;
constexpr std::uint16_t control_console_port = 4;
constexpr std::uint16_t control_resize = 5;
constexpr std::uint16_t control_port_open = 6;
constexpr std::uint16_t control_port_name = 7;

/// Output is handed on in pieces of this size, so that a chain over all of memory needs no buffer of that size.
constexpr std::size_t output_piece = 16384;

/// A driver has no use for more unread control messages; one that asks for ever more must not fill the host's memory.
constexpr std::size_t most_control_messages = 256;

} // namespace

ConsoleDevice::ConsoleDevice(std::vector<ConsolePort> ports, Size size, ConsoleEvents& events)
    : size_(size), events_(events) {
    for (auto& port : ports)
        ports_.push_back({.description = std::move(port)});
    const bool with_control = features() & feature_multiport;
    for (std::size_t port = 0; port < ports_.size() + (with_control ? 1 : 0); ++port) {
        queue_sizes_.push_back(receive_size);
        queue_sizes_.push_back(transmit_size);
    }
}

std::uint32_t ConsoleDevice::type() const { return device_type; }

std::uint32_t ConsoleDevice::features() const {
    const bool plain = ports_.size() == 1 && ports_[0].description.kind == ConsolePort::Kind::console;
    return plain ? feature_size : feature_size | feature_multiport;
}

std::vector<std::byte> ConsoleDevice::configuration() const {
    DeviceConfiguration configuration{size_.columns, size_.rows, static_cast<std::uint32_t>(ports_.size()), 0};
    auto bytes = std::as_bytes(std::span(&configuration, 1));
    return {bytes.begin(), bytes.end()};
}

void ConsoleDevice::activate(Transport& transport, std::uint32_t features) {
    transport_ = &transport;
    features_ = features;
}

void ConsoleDevice::reset() {
    // Input that the guest has not taken stays for the next driver; messages were for the old one.
    transport_ = nullptr;
    control_.clear();
    for (std::uint32_t port = 0; port < ports_.size(); ++port) {
        ports_[port].ready = false;
        ports_[port].closed = false;
        ports_[port].sending.reset();
        ports_[port].held = false;
        set_open(port, false);
    }
}

Result<void> ConsoleDevice::process(std::uint32_t queue) {
    if (multiport() && queue == control_receive_queue)
        return receive_control();
    if (multiport() && queue == control_transmit_queue)
        return transmit_control();
    const std::uint32_t port = queue < 2 ? 0 : queue / 2 - 1;
    return queue % 2 == 0 ? receive(port) : transmit(port);
}

bool ConsoleDevice::may_hand_on(const Port& port) const {
    const auto limit = port.description.kind == ConsolePort::Kind::console ? console_limit : output_limit;
    return unlimited_ || port.handed_on < limit;
}

/// The guest wrote to a port, or some of its output was taken.
Result<void> ConsoleDevice::transmit(std::uint32_t index) {
    auto* queue = transport_->queue(transmit_queue(index));
    auto& port = ports_[index];
    std::array<std::byte, output_piece> piece;
    bool any = false;
    // A driver that adds chains as fast as they are taken must not hold the host's event loop: it rings again.
    for (std::uint32_t count = 0; queue != nullptr && count < 2 * queue->size() && may_hand_on(port); ++count) {
        if (!port.sending) {
            auto chain = queue->pop();
            if (!chain)
                return failure(message(chain.error()));
            if (!*chain)
                break;
            port.sending = std::move(**chain);
        }
        any = true;
        while (may_hand_on(port)) {
            auto size = port.sending->reader.read(piece);
            if (size == 0)
                break;
            port.handed_on += size;
            events_.console_output(index, std::span(piece).first(size));
        }
        if (port.sending->reader.remaining() == 0) {
            queue->push(*port.sending);
            port.sending.reset();
        }
    }
    hold_console(index);
    // Without control messages nothing tells when the driver's console layer listens, and what Linux receives before
    // that, it drops. It listens before it writes for the first time.
    if (any && !multiport() && !port.open) {
        set_open(index, true);
        return receive(index);
    }
    return {};
}

void ConsoleDevice::hold_console(std::uint32_t index) {
    auto& port = ports_[index];
    if (port.description.kind != ConsolePort::Kind::console)
        return;
    // Between the two limits nothing changes, so that not every piece is a reason to talk about it.
    const bool hold = !unlimited_ && (port.held ? port.handed_on > output_limit / 2 : port.handed_on > output_limit);
    if (hold != port.held)
        transport_->hold(transmit_queue(index), port.held = hold);
}

void ConsoleDevice::output_taken(std::uint32_t index, std::size_t count) {
    if (index >= ports_.size())
        return;
    auto& port = ports_[index];
    port.handed_on -= std::min(port.handed_on, count);
    if (transport_ != nullptr)
        transport_->run(transmit_queue(index));
}

bool ConsoleDevice::output_waits(std::uint32_t index) {
    if (index >= ports_.size() || transport_ == nullptr)
        return false;
    transport_->run(transmit_queue(index));
    return !may_hand_on(ports_[index]);
}

void ConsoleDevice::flush_output() {
    unlimited_ = true;
    for (std::uint32_t port = 0; port < ports_.size() && transport_ != nullptr; ++port)
        transport_->run(transmit_queue(port));
}

/// Moves input to the guest, as far as it gave buffers.
Result<void> ConsoleDevice::receive(std::uint32_t index) {
    auto* queue = transport_->queue(receive_queue(index));
    auto& port = ports_[index];
    if (queue == nullptr || !port.open)
        return {};
    std::size_t delivered = 0;
    while (port.queued != 0) {
        auto chain = queue->pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            break;
        auto& writer = (*chain)->writer;
        if (writer.remaining() == 0)
            return failure("an input buffer that the device cannot write to");
        while (port.queued != 0 && writer.remaining() != 0) {
            auto& first = port.input.front();
            auto count = writer.write(std::span(first).subspan(port.first_offset));
            port.first_offset += count;
            port.queued -= count;
            delivered += count;
            if (port.first_offset == first.size()) {
                port.input.pop_front();
                port.first_offset = 0;
            }
        }
        queue->push(**chain);
    }
    if (delivered != 0)
        events_.console_consumed(index, delivered);
    // Linux returns end-of-file to readers once it knows that the host has closed and its buffers are empty.
    if (port.queued == 0 && port.closing && !port.closed) {
        port.closed = true;
        send_control(index, control_port_open, 0);
        return receive_control();
    }
    return {};
}

/// The guest gave buffers for control messages, or there are new messages.
Result<void> ConsoleDevice::receive_control() {
    auto* queue = transport_->queue(control_receive_queue);
    if (queue == nullptr)
        return {};
    while (!control_.empty()) {
        auto chain = queue->pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            return {};
        if ((*chain)->writer.remaining() < control_.front().size())
            return failure("a control buffer is too small for a message of ", control_.front().size(), " bytes");
        (*chain)->writer.write(control_.front());
        control_.pop_front();
        queue->push(**chain);
    }
    return {};
}

/// The guest sent control messages.
Result<void> ConsoleDevice::transmit_control() {
    bool malformed = false;
    auto result = for_each_chain(*transport_->queue(control_transmit_queue), [&](DescriptorChain& chain) {
        Control control;
        if (chain.reader.read(std::as_writable_bytes(std::span(&control, 1))) != sizeof control)
            malformed = true;
        else
            handle_control(control.id, control.event, control.value);
    });
    if (!result)
        return result;
    if (malformed)
        return failure("a control message shorter than its header");
    if (control_.size() > most_control_messages)
        return failure("the driver reads no control messages but asks for ", control_.size());
    if (auto sent = receive_control(); !sent)
        return sent;
    // A port may have been opened that input waits for.
    for (std::uint32_t port = 0; port < ports_.size(); ++port)
        if (auto received = receive(port); !received)
            return received;
    return {};
}

void ConsoleDevice::handle_control(std::uint32_t id, std::uint16_t event, std::uint16_t value) {
    // 5.3.6.2: DEVICE_READY is for the whole device, its id means nothing.
    if (event == control_device_ready) {
        if (value == 1)
            for (std::uint32_t port = 0; port < ports_.size(); ++port)
                send_control(port, control_port_add, 1);
        return;
    }
    // 5.3.6.1 asks devices to ignore what they do not know.
    if (id >= ports_.size())
        return;
    auto& port = ports_[id];
    if (event == control_port_ready && value == 1) {
        port.ready = true;
        if (port.description.kind == ConsolePort::Kind::console) {
            send_control(id, control_console_port, 1);
            send_size(id);
        } else {
            send_control(id, control_port_name, 1, std::as_bytes(std::span(port.description.name)));
        }
        send_control(id, control_port_open, 1);
    } else if (event == control_port_open) {
        set_open(id, value != 0);
    }
}

void ConsoleDevice::set_open(std::uint32_t port, bool open) {
    if (ports_[port].open == open)
        return;
    ports_[port].open = open;
    events_.console_opened(port, open);
}

void ConsoleDevice::send_control(std::uint32_t port, std::uint16_t event, std::uint16_t value,
                                 std::span<const std::byte> extra) {
    Control control{port, event, value};
    auto header = std::as_bytes(std::span(&control, 1));
    std::vector<std::byte> bytes(header.begin(), header.end());
    bytes.insert(bytes.end(), extra.begin(), extra.end());
    control_.push_back(std::move(bytes));
}

void ConsoleDevice::send_size(std::uint32_t port) {
    // 5.3.6.2: struct virtio_console_resize { le16 cols; le16 rows; }
    std::uint16_t size[] = {size_.columns, size_.rows};
    send_control(port, control_resize, 1, std::as_bytes(std::span(size)));
}

void ConsoleDevice::input(std::uint32_t index, std::span<const std::byte> bytes) {
    if (index >= ports_.size() || bytes.empty() || ports_[index].closing)
        return;
    auto& port = ports_[index];
    port.input.emplace_back(bytes.begin(), bytes.end());
    port.queued += bytes.size();
    if (transport_ != nullptr)
        transport_->run(receive_queue(index));
}

void ConsoleDevice::close_input(std::uint32_t index) {
    if (index >= ports_.size())
        return;
    ports_[index].closing = true;
    if (transport_ != nullptr)
        transport_->run(receive_queue(index));
}

void ConsoleDevice::resize(Size size) {
    size_ = size;
    if (transport_ == nullptr)
        return;
    // 5.3.4: the configuration space has the size of port 0 of a device without F_MULTIPORT only.
    if (!multiport()) {
        transport_->update_configuration();
        return;
    }
    for (std::uint32_t port = 0; port < ports_.size(); ++port)
        if (ports_[port].ready && ports_[port].description.kind == ConsolePort::Kind::console)
            send_size(port);
    transport_->run(control_receive_queue);
}

std::size_t ConsoleDevice::queued(std::uint32_t port) const { return port < ports_.size() ? ports_[port].queued : 0; }

} // namespace auklet::virtio
