// SPDX-License-Identifier: MIT
// What the transport gives to devices: answers that come later, 64 feature bits, writes to the configuration space.

#include "fake_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>

using namespace auklet;
using namespace auklet::test;

namespace {

/// Keeps every chain until it is told to answer.
class LateDevice final : public virtio::Device {
  public:
    static constexpr std::uint64_t high_feature = std::uint64_t{1} << 50;

    [[nodiscard]] std::string_view name() const override { return "late"; }
    [[nodiscard]] std::uint32_t type() const override { return 2; }
    [[nodiscard]] std::uint64_t features() const override { return high_feature | 4; }
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return sizes; }
    [[nodiscard]] std::vector<std::byte> configuration() const override {
        auto bytes = std::as_bytes(std::span(values));
        return {bytes.begin(), bytes.end()};
    }
    void write_configuration(std::uint32_t offset, std::span<const std::byte> bytes) override {
        written.emplace_back(offset, bytes.size());
        // The first value is the driver's to write, the second is not.
        auto value = std::as_writable_bytes(std::span(values).first(1));
        for (std::size_t index = 0; index < bytes.size(); ++index)
            if (offset + index < value.size())
                value[offset + index] = bytes[index];
    }
    void activate(virtio::Transport& transport, std::uint64_t features) override {
        transport_ = &transport;
        accepted = features;
    }
    void reset() override {
        ++resets;
        if (answers_at_reset)
            for (auto& completion : std::exchange(pending, {}))
                transport_->complete(completion, 0);
    }
    [[nodiscard]] Result<void> process(std::uint32_t index) override {
        auto* queue = transport_->queue(index);
        for (;;) {
            auto chain = queue->pop();
            if (!chain)
                return failure(message(chain.error()));
            if (!*chain)
                return {};
            pending.push_back(transport_->defer(index, **chain));
        }
    }
    void answer(std::size_t index, std::uint32_t written) {
        auto completion = pending[index];
        pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(index));
        transport_->complete(completion, written);
    }

    std::array<std::uint16_t, 2> sizes{8, 8};
    std::array<std::uint64_t, 2> values{0x1111'1111'1111'1111, 0x2222'2222'2222'2222};
    std::vector<std::pair<std::uint32_t, std::size_t>> written;
    std::vector<virtio::Completion> pending;
    std::uint64_t accepted = 0;
    int resets = 0;
    bool answers_at_reset = false;

  private:
    virtio::Transport* transport_ = nullptr;
};

struct Fixture {
    LateDevice device;
    FakeDriver driver{device};
    FakeQueue* queue = nullptr;

    void start() {
        queue = &driver.set_queue(0, 8);
        REQUIRE(driver.start(4) == 15);
        driver.take_interrupt();
    }
    void offer(std::uint16_t index) {
        queue->offer_buffer(index, FakeDriver::buffers + 64U * index, 64, flag_write);
        driver.kick(0);
    }
    [[nodiscard]] std::uint32_t seen() const { return driver.page.load32(offsetof(abi::VirtioPage, status_seen)); }
    /// Writes 0 to the status; the sequence that the host will show once the reset is over.
    std::uint32_t ask_for_reset() {
        driver.page.store32(offsetof(abi::VirtioPage, status), 0);
        auto sequence = driver.page.add32(offsetof(abi::VirtioPage, status_sequence), 1) + 1;
        driver.page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        driver.transport.service();
        return sequence;
    }
};

} // namespace

TEST_CASE("chains are answered later, in any order") {
    Fixture f;
    f.start();
    f.offer(0);
    f.offer(1);
    CHECK(f.queue->used_index() == 0);
    CHECK(f.driver.take_interrupt() == 0);
    f.device.answer(1, 7);
    REQUIRE(f.queue->used_index() == 1);
    CHECK(f.queue->used_element(0).id == 1);
    CHECK(f.queue->used_element(0).length == 7);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    f.device.answer(0, 9);
    CHECK(f.queue->used_element(1).id == 0);
}

TEST_CASE("a reset is over when the last chain is answered") {
    Fixture f;
    f.start();
    f.offer(0);
    f.offer(1);
    const auto sequence = f.ask_for_reset();
    CHECK(f.device.resets == 1);
    CHECK(f.seen() != sequence);
    f.device.answer(0, 1);
    CHECK(f.seen() != sequence);
    // What the driver rings for meanwhile is not looked at.
    f.offer(2);
    CHECK(f.device.pending.size() == 1);
    f.device.answer(0, 1);
    CHECK(f.seen() == sequence);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 0);
    // Nothing was written to the rings of a driver that may have given their memory away.
    CHECK(f.queue->used_index() == 0);
    CHECK(f.driver.take_interrupt() == 0);
}

TEST_CASE("a device that lets go of its chains at a reset ends it at once") {
    Fixture f;
    f.device.answers_at_reset = true;
    f.start();
    f.offer(0);
    const auto sequence = f.ask_for_reset();
    CHECK(f.seen() == sequence);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 0);
    CHECK(f.queue->used_index() == 0);
}

TEST_CASE("an answer to a driver of before the reset is dropped") {
    Fixture f;
    f.start();
    f.offer(0);
    auto late = f.device.pending.front();
    f.device.answer(0, 1);
    f.queue->set_available_index(0);
    REQUIRE(f.driver.start(4) == 15);
    f.driver.put(f.queue->used(), std::string(4, '\0'));
    f.offer(3);
    f.driver.transport.complete(late, 5);
    CHECK(f.queue->used_index() == 0);
    f.device.answer(0, 2);
    CHECK(f.queue->used_index() == 1);
    // Twice is once too often.
    f.driver.transport.complete({late.epoch + 1, 0, 3}, 2);
    CHECK(f.queue->used_index() == 1);
}

TEST_CASE("a status that is written during a reset is acted on after it") {
    Fixture f;
    f.start();
    f.offer(0);
    f.ask_for_reset();
    f.driver.page.store32(offsetof(abi::VirtioPage, status), 3);
    auto sequence = f.driver.page.add32(offsetof(abi::VirtioPage, status_sequence), 1) + 1;
    f.driver.page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
    f.driver.transport.service();
    CHECK(f.seen() != sequence);
    f.device.answer(0, 1);
    CHECK(f.seen() == sequence);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 3);
    CHECK(f.device.resets == 1);
}

TEST_CASE("a driver that writes its status without end is heard once for each time it rings") {
    Fixture f;
    f.start();
    f.offer(0);
    f.ask_for_reset();
    f.ask_for_reset();
    CHECK(f.device.resets == 1);
    // The sequence goes on whenever the host looks: it shows the one that it saw, and does not follow.
    f.driver.memory.notified = [&](GuestAddress) {
        f.driver.page.add32(offsetof(abi::VirtioPage, status_sequence), 1);
    };
    f.device.answer(0, 1);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 0);
}

TEST_CASE("a device that has stopped gives nothing back, and can be reset") {
    Fixture f;
    f.start();
    f.offer(0);
    f.queue->offer(9); // no such descriptor
    f.driver.kick(0);
    REQUIRE(f.driver.events.failures.size() == 1);
    const auto sequence = f.ask_for_reset();
    CHECK(f.seen() != sequence);
    f.device.answer(0, 1);
    CHECK(f.queue->used_index() == 0);
    CHECK(f.seen() == sequence);
}

TEST_CASE("a device that was stopped before it was active hears of the reset") {
    Fixture f;
    f.driver.set_status(0);
    CHECK(f.device.resets == 0);
    CHECK((f.driver.set_status(15) & 64) != 0);
    CHECK(f.driver.set_status(0) == 0);
    CHECK(f.device.resets == 1);
}

TEST_CASE("features have 64 bits") {
    Fixture f;
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, device_features)) == (feature_indirect | 4));
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, device_features) + 4) == (1 << 18 | 1));
    f.driver.set_queue(0, 8);
    CHECK(f.driver.start(LateDevice::high_feature) == 15);
    CHECK(f.device.accepted == (LateDevice::high_feature | std::uint64_t{1} << 32));
    CHECK((f.driver.start(std::uint64_t{1} << 51) & 64) != 0);
}

TEST_CASE("the driver writes to the configuration space, and reads what the device made of it") {
    Fixture f;
    const std::array<std::byte, 8> value{std::byte{0xaa}, std::byte{0xbb}, std::byte{0xcc}, std::byte{0xdd}};
    auto value_at = [&](std::uint64_t offset) {
        return f.driver.page.read_structure<std::uint64_t>(AUKLET_VIRTIO_CONFIG + offset);
    };
    REQUIRE(f.driver.write_configuration(2, value, 4));
    CHECK(f.device.written == std::vector<std::pair<std::uint32_t, std::size_t>>{{2, 4}});
    CHECK(value_at(0) == 0x1111'ddcc'bbaa'1111);
    REQUIRE(f.driver.write_configuration(8, value, 8));
    CHECK(value_at(8) == 0x2222'2222'2222'2222);
    CHECK(f.device.written.size() == 2);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, config_generation)) % 2 == 0);

    // Outside of it, or longer than a write can be: the host answers, the device hears nothing.
    CHECK(f.driver.write_configuration(9, value, 8));
    CHECK(f.driver.write_configuration(0xffff'fffc, value, 8));
    CHECK(f.driver.write_configuration(0, value, 9));
    CHECK(f.driver.write_configuration(0, value, 0xffff'ffff));
    CHECK(f.device.written.size() == 2);
}
