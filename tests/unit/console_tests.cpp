// SPDX-License-Identifier: MIT
// The console device: input, output, resize.

#include "fake_driver.hpp"
#include "src/virtio/console.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace auklet;
using namespace auklet::test;

namespace {

constexpr std::uint32_t feature_size = 1;

struct RecordedConsole final : ConsoleBackend {
    void console_output(std::span<const std::byte> data) override {
        output.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void console_consumed(std::size_t count) override { consumed += count; }

    std::string output;
    std::size_t consumed = 0;
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

struct Fixture {
    RecordedConsole events;
    virtio::ConsoleDevice device{{80, 24}, events};
    FakeDriver driver{device};
    FakeQueue& input = driver.set_queue(0, 16);
    FakeQueue& output = driver.set_queue(1, 64);

    std::uint32_t configuration(std::uint64_t offset) {
        return driver.page.read_structure<std::uint16_t>(AUKLET_VIRTIO_CONFIG + offset);
    }
};

} // namespace

TEST_CASE("the console does not offer multiport") {
    Fixture f;
    auto page = f.driver.page.read_structure<abi::VirtioPage>(0);
    CHECK(page.device_id == 3);
    CHECK(page.device_features[0] == (feature_indirect | feature_size));
    CHECK(page.queue_count == 2);
    CHECK(f.configuration(0) == 80);
    CHECK(f.configuration(2) == 24);
}

TEST_CASE("output arrives, also of long chains") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, "hello\n");
    CHECK(f.events.output == "hello\n");
    std::string large(100000, 'x');
    transmit(f.driver, 1, f.output, large);
    CHECK(f.events.output == "hello\n" + large);
    CHECK(f.output.used_index() == 2);
}

TEST_CASE("output before a reset arrives, also if the device only looks after it") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    f.driver.put(FakeDriver::buffers, "System halted");
    f.output.offer_buffer(0, FakeDriver::buffers, 13, 0);
    f.driver.page.or32(offsetof(abi::VirtioPage, kick), 1U << 1);
    f.driver.set_status(0);
    CHECK(f.events.output == "System halted");
}

TEST_CASE("input waits for the first output, because Linux drops what comes before it listens") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    f.device.input(bytes("typed early"));
    Receiver receiver(f.driver, 0, f.input, FakeDriver::buffers, 4096, 4);
    f.driver.kick(0);
    CHECK(receiver.take().empty());
    transmit(f.driver, 1, f.output, "boot message");
    CHECK(receiver.take() == std::vector<std::string>{"typed early"});
    f.device.input(bytes("more"));
    CHECK(receiver.take() == std::vector<std::string>{"more"});
    CHECK(f.events.consumed == 15);
}

TEST_CASE("a large paste arrives whole, however slowly the guest reads") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, ".");
    std::string paste;
    for (int index = 0; index < 300000; ++index)
        paste += static_cast<char>(index * 7 % 251);
    auto buffer_size = GENERATE(4096U, 100U, 65536U);
    auto split = GENERATE(std::size_t{300000}, std::size_t{1000});
    for (std::size_t offset = 0; offset < paste.size(); offset += split)
        f.device.input(bytes(std::string_view(paste).substr(offset, split)));
    CHECK(f.device.queued() == paste.size());
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
    CHECK(f.device.queued() == 0);
    CHECK(f.events.consumed == paste.size());
}

TEST_CASE("a resize changes the configuration and interrupts") {
    Fixture f;
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
    Fixture f;
    f.device.resize({100, 30});
    REQUIRE(f.driver.start(feature_size) == 15);
    CHECK(f.configuration(0) == 100);
    CHECK(f.configuration(2) == 30);
}

TEST_CASE("an input buffer that the driver made readable stops the device") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, ".");
    f.input.offer_buffer(0, FakeDriver::buffers, 100, 0);
    f.device.input(bytes("a"));
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == "queue 0: an input buffer that the device cannot write to");
}

TEST_CASE("a console's driver is asked to wait, and told when it need not; the kernel's messages pass") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    constexpr auto limit = virtio::ConsoleDevice::output_limit;
    auto held = [&] { return f.driver.page.load32(offsetof(abi::VirtioPage, held)); };
    transmit(f.driver, 1, f.output, std::string(limit, 'x'));
    CHECK(held() == 0);
    transmit(f.driver, 1, f.output, "more");
    CHECK(held() == 1U << 1);
    transmit(f.driver, 1, f.output, "a message of the kernel");
    CHECK(f.events.output.ends_with("morea message of the kernel"));

    (void)f.driver.take_interrupt();
    f.device.output_taken(limit / 4);
    CHECK(held() == 1U << 1);
    CHECK((f.driver.take_interrupt() & AUKLET_VIRTIO_INT_RELEASED) == 0);
    f.device.output_taken(f.events.output.size() - limit / 4 - limit / 2);
    CHECK(held() == 0);
    CHECK((f.driver.take_interrupt() & AUKLET_VIRTIO_INT_RELEASED) != 0);
}

TEST_CASE("a driver that does not wait is not served for ever, but to the end of the machine") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    std::string piece(500'000, 'x');
    for (int count = 0; count < 8; ++count)
        transmit(f.driver, 1, f.output, piece);
    CHECK(f.events.output.size() >= virtio::ConsoleDevice::most_output);
    CHECK(f.events.output.size() < virtio::ConsoleDevice::most_output + 65536);
    f.device.flush_output();
    CHECK(f.events.output.size() == 8 * piece.size());
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, held)) == 0);
}

TEST_CASE("output waits in the middle of a chain until what came before is taken") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    constexpr auto limit = virtio::ConsoleDevice::most_output;
    const std::string piece(900'000, 'x');
    for (int count = 0; count < 3; ++count)
        transmit(f.driver, 1, f.output, piece);
    CHECK(f.events.output.size() < limit + 65536);
    CHECK(f.output.used_index() == 2);
    f.device.output_taken(1'000'000);
    CHECK(f.events.output.size() == 3 * piece.size());
    CHECK(f.output.used_index() == 3);
}

TEST_CASE("a driver that resets in the middle of a chain begins anew") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    const std::string piece(900'000, 'x');
    for (int count = 0; count < 3; ++count)
        transmit(f.driver, 1, f.output, piece);
    const auto before = f.events.output.size();
    f.driver.set_status(0);
    f.device.output_taken(before);
    CHECK(f.events.output.size() == before);
}

TEST_CASE("input survives a reset of the driver") {
    Fixture f;
    REQUIRE(f.driver.start(feature_size) == 15);
    transmit(f.driver, 1, f.output, ".");
    f.device.input(bytes("kept"));
    f.driver.set_status(0);
    CHECK(f.device.queued() == 4);
}
