// SPDX-License-Identifier: MIT
// When a driver need not ring: no chain stays unseen.

#include "fake_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <thread>

using namespace auklet;
using namespace auklet::test;

namespace {

constexpr std::uint16_t queue_size = 8;

/// Takes what is there, up to the limit of take_chains, and gives it back.
class CountingDevice final : public virtio::Device {
  public:
    [[nodiscard]] std::string_view name() const override { return "counting"; }
    [[nodiscard]] std::uint32_t type() const override { return 2; }
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return sizes; }
    void activate(virtio::Transport& transport, std::uint64_t) override { transport_ = &transport; }
    void reset() override {}
    [[nodiscard]] Result<void> process(std::uint32_t index) override {
        ++passes;
        auto& queue = *transport_->queue(index);
        if (!takes)
            return {};
        auto result = virtio::take_chains(queue, [&](virtio::DescriptorChain& chain) -> Result<void> {
            ++taken;
            queue.push(chain);
            if (on_chain)
                on_chain();
            return {};
        });
        if (on_end)
            on_end();
        return result;
    }
    [[nodiscard]] bool needs_notifications(std::uint32_t) const override { return needs; }

    std::array<std::uint16_t, 1> sizes{queue_size};
    std::function<void()> on_chain; ///< what the driver does meanwhile
    std::function<void()> on_end;
    std::uint32_t taken = 0;
    int passes = 0;
    bool needs = true;
    bool takes = true;

  private:
    virtio::Transport* transport_ = nullptr;
};

struct Fixture {
    CountingDevice device;
    FakeDriver driver{device};
    FakeQueue* queue = &driver.set_queue(0, queue_size);
    std::uint16_t next = 0;
    bool rang = false;

    Fixture() {
        REQUIRE(driver.start(0) == 15);
        device.passes = 0;
    }
    /// Offers a chain as Linux does: the index, then a look at the flag.
    void offer() {
        queue->offer_buffer(next++ % queue_size, FakeDriver::buffers, 4, 0);
        rang = queue->rings();
        if (rang)
            driver.page.or32(offsetof(abi::VirtioPage, kick), 1);
    }
    [[nodiscard]] bool kicked() const { return driver.page.load32(offsetof(abi::VirtioPage, kick)) != 0; }
};

} // namespace

TEST_CASE("a driver need not ring while its queue is served, and has to afterwards") {
    Fixture f;
    bool rings = true;
    f.device.on_chain = [&] { rings = f.queue->rings(); };
    f.offer();
    CHECK(f.rang);
    f.driver.transport.service();
    CHECK_FALSE(rings);
    CHECK(f.queue->rings());
    CHECK(f.device.taken == 1);
    CHECK(f.device.passes == 1);
}

TEST_CASE("a chain that comes after the device's last look is found without a ring") {
    Fixture f;
    bool late = true;
    f.device.on_end = [&] {
        if (std::exchange(late, false))
            f.offer();
    };
    f.offer();
    f.driver.transport.service();
    CHECK_FALSE(f.rang);
    CHECK_FALSE(f.kicked());
    CHECK(f.device.taken == 2);
    CHECK(f.queue->rings());
}

TEST_CASE("a chain that comes during the second pass is rung for") {
    Fixture f;
    f.device.on_end = [&] { f.offer(); };
    f.offer();
    f.driver.transport.service();
    CHECK(f.rang);
    CHECK(f.device.passes == 2);
    CHECK(f.device.taken == 2);
    f.device.on_end = nullptr;
    f.driver.transport.service();
    CHECK(f.device.taken == 3);
    CHECK_FALSE(f.kicked());
}

TEST_CASE("a driver that offers chains without end is left after two passes, and has rung for the rest") {
    Fixture f;
    f.device.on_chain = [&] { f.offer(); };
    f.offer();
    f.driver.transport.service();
    CHECK(f.device.passes == 2);
    CHECK(f.device.taken == 2 * 2 * queue_size);
    CHECK(f.kicked());
    f.device.on_chain = nullptr;
    f.driver.transport.service();
    CHECK(f.device.taken == f.next);
}

TEST_CASE("chains that wait when a device reaches its limit are not forgotten") {
    Fixture f;
    int count = 0;
    // The last chain comes before the device's last look but one, and unrung.
    f.device.on_chain = [&] {
        if (++count < 2 * queue_size)
            f.offer();
    };
    f.offer();
    f.offer();
    f.driver.transport.service();
    CHECK_FALSE(f.kicked());
    CHECK(f.device.taken == f.next);
    CHECK(f.queue->rings());
}

TEST_CASE("a device that leaves chains is not asked twice, and asks for rings or does not") {
    Fixture f;
    f.device.takes = false;
    f.offer();
    f.driver.transport.service();
    CHECK(f.device.passes == 1);
    CHECK(f.queue->rings());
    f.device.needs = false;
    f.offer();
    f.driver.transport.service();
    CHECK(f.device.passes == 2);
    f.offer();
    CHECK_FALSE(f.rang);
    // By itself, it looks when it can go on.
    f.device.takes = f.device.needs = true;
    f.driver.transport.run(0);
    CHECK(f.device.taken == 3);
    CHECK(f.queue->rings());
}

TEST_CASE("a queue that a device looks at by itself tells when a chain came unnoticed") {
    native::PlainMemory memory(1 << 20);
    FakeQueue driver(memory, 65536, queue_size);
    auto queue = *virtio::Virtqueue::create(memory, driver.addresses(), queue_size);
    queue.suppress_notifications();
    CHECK_FALSE(driver.rings());
    REQUIRE(queue.pop());
    CHECK_FALSE(queue.allow_notifications());
    queue.suppress_notifications();
    REQUIRE(queue.pop());
    driver.offer_buffer(0, 0, 4, 0);
    CHECK(queue.allow_notifications());
    CHECK(driver.rings());
    REQUIRE(*queue.pop());
    CHECK_FALSE(queue.allow_notifications());
}

TEST_CASE("chains that are given back together show at once") {
    native::PlainMemory memory(1 << 20);
    FakeQueue driver(memory, 65536, queue_size);
    auto queue = *virtio::Virtqueue::create(memory, driver.addresses(), queue_size);
    queue.stage(3, 7);
    queue.stage(5, 9);
    CHECK(driver.used_index() == 0);
    CHECK_FALSE(queue.take_interrupt());
    queue.publish();
    CHECK(driver.used_index() == 2);
    CHECK(driver.used_element(0).id == 3);
    CHECK(driver.used_element(1).length == 9);
    CHECK(queue.take_interrupt());
}

TEST_CASE("a driver in another thread that rings only when it has to is served to the end") {
    Fixture f;
    constexpr std::uint32_t rounds = 20'000;
    auto word = [&]<typename T>(T, GuestAddress address) {
        return std::atomic_ref<T>(*reinterpret_cast<T*>(f.driver.memory.data() + address));
    };
    auto available = word(std::uint16_t{}, f.queue->available() + 2);
    auto flags = word(std::uint16_t{}, f.queue->used());
    auto used = word(std::uint16_t{}, f.queue->used() + 2);
    // The doorbell.
    std::atomic<std::uint32_t> rings = 0;

    for (std::uint16_t index = 0; index < queue_size; ++index) {
        f.queue->descriptor(index, {FakeDriver::buffers, 4, 0, 0});
        f.queue->put(f.queue->available() + 4 + 2U * index, index);
    }
    std::thread driver([&] {
        for (std::uint32_t round = 0; round < rounds; ++round) {
            // The ring is full: the host has all that it needs to make room.
            while (static_cast<std::uint16_t>(round - used.load(std::memory_order_acquire)) == queue_size)
                std::this_thread::yield();
            available.store(static_cast<std::uint16_t>(round + 1), std::memory_order_release);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if ((flags.load(std::memory_order_relaxed) & 1) == 0) {
                f.driver.page.or32(offsetof(abi::VirtioPage, kick), 1);
                rings.fetch_add(1);
                rings.notify_one();
            }
        }
    });
    // The host sleeps whenever nobody has rung. An unseen chain would leave
    // both sides waiting.
    std::uint32_t seen = 0;
    while (f.device.taken < rounds) {
        rings.wait(seen);
        seen = rings.load();
        f.driver.transport.service();
    }
    driver.join();
    CHECK(f.device.taken == rounds);
    CHECK(seen <= rounds);
}
