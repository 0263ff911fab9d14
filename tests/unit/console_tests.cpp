// SPDX-License-Identifier: MIT
// The console device: input, output, resize, named ports.

#include "fake_driver.hpp"
#include "src/virtio/console.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <map>

using namespace auklet;
using namespace auklet::test;
using virtio::ConsolePort;

namespace {

constexpr std::uint32_t feature_size = 1;
constexpr std::uint32_t feature_multiport = 2;

class RecordedConsole final : public virtio::ConsoleEvents {
  public:
    void console_output(std::uint32_t port, std::span<const std::byte> data) override {
        output[port].append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void console_consumed(std::uint32_t port, std::size_t count) override { consumed[port] += count; }
    void console_opened(std::uint32_t port, bool open) override { opened[port] = open; }

    std::map<std::uint32_t, std::string> output;
    std::map<std::uint32_t, std::size_t> consumed;
    std::map<std::uint32_t, bool> opened;
};

/// Receives what the device puts into one queue, in buffers of `length` bytes from `base` on.
class Receiver {
  public:
    Receiver(FakeDriver& driver, std::uint32_t number, FakeQueue& queue, GuestAddress base, std::uint32_t length,
             std::uint16_t count)
        : driver_(driver), queue_(queue), base_(base), length_(length), number_(number) {
        for (std::uint16_t index = 0; index < count; ++index)
            queue_.offer_buffer(index, base_ + index * length_, length_, flag_write);
    }

    /// One message for each buffer that came back; the buffers are offered again.
    std::vector<std::string> take() {
        std::vector<std::string> messages;
        while (seen_ != queue_.used_index()) {
            auto used = queue_.used_element(seen_++);
            messages.push_back(driver_.get(base_ + used.id * length_, used.length));
            queue_.offer(static_cast<std::uint16_t>(used.id));
        }
        driver_.kick(number_);
        return messages;
    }

  private:
    FakeDriver& driver_;
    FakeQueue& queue_;
    GuestAddress base_;
    std::uint32_t length_;
    std::uint32_t number_;
    std::uint16_t seen_ = 0;
};

void transmit(FakeDriver& driver, std::uint32_t number, FakeQueue& queue, std::string_view text) {
    constexpr GuestAddress place = FakeDriver::buffers + (1 << 20);
    driver.put(place, text);
    queue.offer_buffer(0, place, static_cast<std::uint32_t>(text.size()), 0);
    driver.kick(number);
}

std::string control(std::uint32_t id, std::uint16_t event, std::uint16_t value, std::string_view extra = {}) {
    std::string message(8, '\0');
    std::memcpy(message.data(), &id, 4);
    std::memcpy(message.data() + 4, &event, 2);
    std::memcpy(message.data() + 6, &value, 2);
    return message + std::string(extra);
}

struct Plain {
    RecordedConsole events;
    virtio::ConsoleDevice device{{{.kind = ConsolePort::Kind::console}}, {80, 24}, events};
    FakeDriver driver{device};
    FakeQueue& input = driver.set_queue(0, 16);
    FakeQueue& output = driver.set_queue(1, 64);

    std::uint32_t configuration(std::uint64_t offset) {
        return driver.page.read_structure<std::uint16_t>(AUKLET_VIRTIO_CONFIG + offset);
    }
};

struct Multiport {
    RecordedConsole events;
    virtio::ConsoleDevice device;
    FakeDriver driver{device};
    FakeQueue& input0 = driver.set_queue(0, 16);
    FakeQueue& output0 = driver.set_queue(1, 16);
    FakeQueue& control_input = driver.set_queue(2, 16);
    FakeQueue& control_output = driver.set_queue(3, 16);
    FakeQueue& input1 = driver.set_queue(4, 16);
    FakeQueue& output1 = driver.set_queue(5, 16);
    Receiver messages{driver, 2, control_input, FakeDriver::buffers, 4096, 16};

    explicit Multiport(std::vector<ConsolePort> ports) : device(std::move(ports), {80, 24}, events) {}
    Multiport() : Multiport({{.name = "one"}, {.name = "two"}}) {}

    void send(std::uint32_t id, std::uint16_t event, std::uint16_t value) {
        transmit(driver, 3, control_output, control(id, event, value));
    }
    void open_all() {
        REQUIRE(driver.start(feature_size | feature_multiport) == 15);
        send(~0U, 0, 1);
        messages.take();
        send(0, 3, 1);
        send(1, 3, 1);
        messages.take();
        send(0, 6, 1);
        send(1, 6, 1);
    }
};

} // namespace

TEST_CASE("a single console does not offer multiport") {
    Plain f;
    auto page = f.driver.page.read_structure<abi::VirtioPage>(0);
    CHECK(page.device_id == 3);
    CHECK(page.device_features[0] == feature_size);
    CHECK(page.queue_count == 2);
    CHECK(f.configuration(0) == 80);
    CHECK(f.configuration(2) == 24);
}

TEST_CASE("output arrives, also of long chains") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, "hello\n");
    CHECK(f.events.output[0] == "hello\n");
    std::string large(100000, 'x');
    transmit(f.driver, 1, f.output, large);
    CHECK(f.events.output[0] == "hello\n" + large);
    CHECK(f.output.used_index() == 2);
}

TEST_CASE("output before a reset arrives, also if the device only looks after it") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    f.driver.put(FakeDriver::buffers, "System halted");
    f.output.offer_buffer(0, FakeDriver::buffers, 13, 0);
    f.driver.page.or32(offsetof(abi::VirtioPage, kick), 1U << 1);
    f.driver.set_status(0);
    CHECK(f.events.output[0] == "System halted");
}

TEST_CASE("input waits for the first output, because Linux drops what comes before it listens") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    f.device.input(0, bytes("typed early"));
    Receiver receiver(f.driver, 0, f.input, FakeDriver::buffers, 4096, 4);
    f.driver.kick(0);
    CHECK(receiver.take().empty());
    transmit(f.driver, 1, f.output, "boot message");
    CHECK(f.events.opened[0]);
    CHECK(receiver.take() == std::vector<std::string>{"typed early"});
    f.device.input(0, bytes("more"));
    CHECK(receiver.take() == std::vector<std::string>{"more"});
    CHECK(f.events.consumed[0] == 15);
}

TEST_CASE("a large paste arrives whole, however slowly the guest reads") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, ".");
    std::string paste;
    for (int index = 0; index < 300000; ++index)
        paste += static_cast<char>(index * 7 % 251);
    auto buffer_size = GENERATE(4096U, 100U, 65536U);
    auto split = GENERATE(std::size_t{300000}, std::size_t{1000});
    for (std::size_t offset = 0; offset < paste.size(); offset += split)
        f.device.input(0, bytes(std::string_view(paste).substr(offset, split)));
    CHECK(f.device.queued(0) == paste.size());
    Receiver receiver(f.driver, 0, f.input, FakeDriver::buffers, buffer_size, 8);
    f.driver.kick(0);
    std::string received;
    for (;;) {
        auto messages = receiver.take();
        if (messages.empty())
            break;
        for (auto& message : messages)
            received += message;
    }
    CHECK(received == paste);
    CHECK(f.device.queued(0) == 0);
    CHECK(f.events.consumed[0] == paste.size());
}

TEST_CASE("a resize changes the configuration and interrupts") {
    Plain f;
    f.device.resize({100, 30}); // before the driver exists: it reads the size when it starts
    REQUIRE(f.driver.start(feature_size) == 15);
    f.driver.take_interrupt();
    auto generation = f.driver.page.load32(offsetof(abi::VirtioPage, config_generation));
    f.device.resize({132, 43});
    CHECK(f.configuration(0) == 132);
    CHECK(f.configuration(2) == 43);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_CONFIG);
    auto now = f.driver.page.load32(offsetof(abi::VirtioPage, config_generation));
    CHECK(now == generation + 2);
    CHECK(now % 2 == 0);
}

TEST_CASE("a size that was set before the driver came is in the configuration") {
    Plain f;
    f.device.resize({100, 30});
    REQUIRE(f.driver.start(feature_size) == 15);
    CHECK(f.configuration(0) == 100);
    CHECK(f.configuration(2) == 30);
}

TEST_CASE("an input buffer that the driver made readable stops the device") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, ".");
    f.input.offer_buffer(0, FakeDriver::buffers, 100, 0);
    f.device.input(0, bytes("a"));
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == "queue 0: an input buffer that the device cannot write to");
}

TEST_CASE("output of a port waits until what came before is taken, in the middle of a chain") {
    Multiport f;
    f.open_all();
    constexpr auto limit = virtio::ConsoleDevice::output_limit;
    std::string text(limit + 100'000, 'x');
    text.back() = 'y';
    transmit(f.driver, 1, f.output0, text);
    CHECK(f.events.output[0].size() == limit);
    CHECK(f.output0.used_index() == 0);
    CHECK(f.device.output_waits(0));
    CHECK(f.events.output[0].size() == limit);

    // Another port does not wait for this one.
    transmit(f.driver, 5, f.output1, "from two");
    CHECK(f.events.output[1] == "from two");
    CHECK_FALSE(f.device.output_waits(1));

    f.device.output_taken(0, 50'000);
    CHECK(f.events.output[0].size() > limit);
    CHECK(f.events.output[0].size() < text.size());
    CHECK(f.output0.used_index() == 0);
    f.device.output_taken(0, f.events.output[0].size() - 50'000);
    CHECK(f.events.output[0] == text);
    CHECK(f.output0.used_index() == 1);
    CHECK_FALSE(f.device.output_waits(0));
}

TEST_CASE("a driver that resets in the middle of a chain begins anew") {
    Multiport f;
    f.open_all();
    transmit(f.driver, 1, f.output0, std::string(virtio::ConsoleDevice::output_limit + 1, 'x'));
    CHECK(f.device.output_waits(0));
    f.driver.set_status(0);
    CHECK_FALSE(f.device.output_waits(0));
    f.device.output_taken(0, virtio::ConsoleDevice::output_limit);
    CHECK(f.events.output[0].size() == virtio::ConsoleDevice::output_limit);
}

TEST_CASE("a console's driver is asked to wait, and told when it need not; the kernel's messages pass") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    constexpr auto limit = virtio::ConsoleDevice::output_limit;
    auto held = [&] { return f.driver.page.load32(offsetof(abi::VirtioPage, held)); };
    transmit(f.driver, 1, f.output, std::string(limit, 'x'));
    CHECK(held() == 0);
    transmit(f.driver, 1, f.output, "more");
    CHECK(held() == 1U << 1);
    transmit(f.driver, 1, f.output, "a message of the kernel");
    CHECK(f.events.output[0].ends_with("morea message of the kernel"));

    (void)f.driver.take_interrupt();
    f.device.output_taken(0, limit / 4);
    CHECK(held() == 1U << 1);
    CHECK((f.driver.take_interrupt() & AUKLET_VIRTIO_INT_RELEASED) == 0);
    f.device.output_taken(0, f.events.output[0].size() - limit / 4 - limit / 2);
    CHECK(held() == 0);
    CHECK((f.driver.take_interrupt() & AUKLET_VIRTIO_INT_RELEASED) != 0);
}

TEST_CASE("a driver that does not wait is not served for ever, but to the end of the machine") {
    Plain f;
    REQUIRE(f.driver.start(feature_size) == 15);
    std::string piece(500'000, 'x');
    for (int count = 0; count < 8; ++count)
        transmit(f.driver, 1, f.output, piece);
    CHECK(f.events.output[0].size() >= virtio::ConsoleDevice::console_limit);
    CHECK(f.events.output[0].size() < virtio::ConsoleDevice::console_limit + 65536);
    CHECK(f.device.output_waits(0));
    f.device.flush_output();
    CHECK(f.events.output[0].size() == 8 * piece.size());
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, held)) == 0);
}

TEST_CASE("ports are announced, named and opened as section 5.3.6.2 says") {
    Multiport f;
    auto page = f.driver.page.read_structure<abi::VirtioPage>(0);
    CHECK(page.device_features[0] == (feature_size | feature_multiport));
    CHECK(page.queue_count == 6);
    CHECK(f.driver.page.read_structure<std::uint32_t>(AUKLET_VIRTIO_CONFIG + 4) == 2);
    REQUIRE(f.driver.start(feature_size | feature_multiport) == 15);
    CHECK(f.messages.take().empty());
    f.send(~0U, 0, 1);
    CHECK(f.messages.take() == std::vector{control(0, 1, 1), control(1, 1, 1)});
    f.send(1, 3, 1);
    CHECK(f.messages.take() == std::vector{control(1, 7, 1, "two"), control(1, 6, 1)});
    CHECK_FALSE(f.events.opened[1]);
    f.send(1, 6, 1);
    CHECK(f.events.opened[1]);
    f.send(1, 6, 0);
    CHECK_FALSE(f.events.opened[1]);
}

TEST_CASE("messages wait for the driver's buffers") {
    RecordedConsole events;
    virtio::ConsoleDevice device({{.name = "one"}, {.name = "two"}}, {80, 24}, events);
    FakeDriver driver(device);
    auto& control_input = driver.set_queue(2, 16);
    auto& control_output = driver.set_queue(3, 16);
    REQUIRE(driver.start(feature_multiport) == 15);
    transmit(driver, 3, control_output, control(~0U, 0, 1));
    CHECK(control_input.used_index() == 0);
    Receiver messages(driver, 2, control_input, FakeDriver::buffers, 64, 1);
    driver.kick(2);
    CHECK(messages.take() == std::vector{control(0, 1, 1)});
    CHECK(messages.take() == std::vector{control(1, 1, 1)});
    CHECK(messages.take().empty());
}

TEST_CASE("bytes of ports do not mix") {
    Multiport f;
    f.open_all();
    Receiver first(f.driver, 0, f.input0, FakeDriver::buffers + 0x20000, 4096, 4);
    Receiver second(f.driver, 4, f.input1, FakeDriver::buffers + 0x40000, 4096, 4);
    transmit(f.driver, 1, f.output0, "from one");
    transmit(f.driver, 5, f.output1, "from two");
    CHECK(f.events.output[0] == "from one");
    CHECK(f.events.output[1] == "from two");
    f.device.input(1, bytes("to two"));
    f.device.input(0, bytes("to one"));
    CHECK(first.take() == std::vector<std::string>{"to one"});
    CHECK(second.take() == std::vector<std::string>{"to two"});
    f.device.input(2, bytes("nobody"));
}

TEST_CASE("input waits until a program opens the port") {
    Multiport f;
    REQUIRE(f.driver.start(feature_size | feature_multiport) == 15);
    Receiver receiver(f.driver, 4, f.input1, FakeDriver::buffers + 0x40000, 4096, 4);
    f.device.input(1, bytes("early"));
    f.send(~0U, 0, 1);
    f.send(1, 3, 1);
    CHECK(receiver.take().empty());
    f.send(1, 6, 1);
    CHECK(receiver.take() == std::vector<std::string>{"early"});
}

TEST_CASE("a closed input reads end-of-file after its bytes") {
    Multiport f;
    f.open_all();
    Receiver receiver(f.driver, 4, f.input1, FakeDriver::buffers + 0x40000, 10, 1);
    f.messages.take();
    f.device.input(1, bytes("fifteen letters"));
    f.device.close_input(1);
    f.device.input(1, bytes("too late"));
    CHECK(f.messages.take().empty());
    CHECK(receiver.take() == std::vector<std::string>{"fifteen le"});
    CHECK(receiver.take() == std::vector<std::string>{"tters"});
    CHECK(f.messages.take() == std::vector{control(1, 6, 0)});
    CHECK(receiver.take().empty());
    CHECK(f.messages.take().empty());
}

TEST_CASE("an input that is closed when it is empty reads end-of-file") {
    Multiport f;
    f.open_all();
    f.messages.take();
    f.device.close_input(0);
    CHECK(f.messages.take() == std::vector{control(0, 6, 0)});
}

TEST_CASE("a console among ports is resized by a message") {
    Multiport f({{.kind = ConsolePort::Kind::console}, {.name = "two"}});
    REQUIRE(f.driver.start(feature_size | feature_multiport) == 15);
    f.send(~0U, 0, 1);
    f.messages.take();
    f.send(0, 3, 1);
    CHECK(f.messages.take() ==
          std::vector{control(0, 4, 1), control(0, 5, 1, std::string_view("\x50\0\x18\0", 4)), control(0, 6, 1)});
    f.device.resize({132, 43});
    CHECK(f.messages.take() == std::vector{control(0, 5, 1, std::string_view("\x84\0\x2b\0", 4))});
}

TEST_CASE("strange control messages") {
    Multiport f;
    f.open_all();
    f.messages.take();
    SECTION("an unknown port or event is ignored") {
        f.send(7, 3, 1);
        f.send(0, 99, 1);
        CHECK(f.messages.take().empty());
        CHECK(f.driver.events.failures.empty());
    }
    SECTION("a message that is too short stops the device") {
        transmit(f.driver, 3, f.control_output, "short");
        REQUIRE(f.driver.events.failures.size() == 1);
        CHECK(f.driver.events.failures[0] == "queue 3: a control message shorter than its header");
    }
    SECTION("questions without reading the answers stop the device") {
        for (int count = 0; count < 200; ++count)
            f.send(~0U, 0, 1);
        CHECK(f.driver.events.failures.size() == 1);
    }
}

TEST_CASE("input survives a reset of the driver") {
    Multiport f;
    f.open_all();
    f.device.input(0, bytes("kept"));
    f.driver.set_status(0);
    CHECK_FALSE(f.events.opened[0]);
    CHECK(f.device.queued(0) == 4);
}
