// SPDX-License-Identifier: MIT
// Split virtqueues: good chains, and every way to make a bad one.

#include "fake_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>

using namespace auklet;
using namespace auklet::test;
using virtio::QueueError;
using virtio::Virtqueue;

namespace {

constexpr std::size_t memory_size = 1 << 20;
constexpr GuestAddress buffers = 1 << 19;

struct Fixture {
    native::PlainMemory memory{memory_size};
    FakeQueue driver{memory, 65536, 8};
    Virtqueue device = *Virtqueue::create(memory, driver.addresses(), 16);

    QueueError pop_error() {
        auto chain = device.pop();
        REQUIRE_FALSE(chain);
        return chain.error();
    }
    virtio::DescriptorChain pop() {
        auto chain = device.pop();
        REQUIRE(chain);
        REQUIRE(*chain);
        return std::move(**chain);
    }
};

QueueError create_error(virtio::QueueAddresses addresses) {
    native::PlainMemory memory(memory_size);
    auto queue = Virtqueue::create(memory, addresses, 16);
    REQUIRE_FALSE(queue);
    return queue.error();
}

std::string text(std::span<const std::byte> data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }

} // namespace

TEST_CASE("a queue's place is checked when it is set up") {
    CHECK(create_error({0, 0, 4096, 8192}) == QueueError::invalid_size);
    CHECK(create_error({12, 0, 4096, 8192}) == QueueError::invalid_size);
    CHECK(create_error({32, 0, 4096, 8192}) == QueueError::invalid_size);
    CHECK(create_error({8, 8, 4096, 8192}) == QueueError::misaligned);
    CHECK(create_error({8, 0, 4097, 8192}) == QueueError::misaligned);
    CHECK(create_error({8, 0, 4096, 8194}) == QueueError::misaligned);
    CHECK(create_error({8, memory_size - 112, 4096, 8192}) == QueueError::descriptor_table_out_of_bounds);
    CHECK(create_error({8, 0xffff'fff0, 4096, 8192}) == QueueError::descriptor_table_out_of_bounds);
    CHECK(create_error({8, 0, memory_size - 18, 8192}) == QueueError::available_ring_out_of_bounds);
    CHECK(create_error({8, 0, 4096, memory_size - 64}) == QueueError::used_ring_out_of_bounds);
}

TEST_CASE("an empty queue gives nothing") {
    Fixture f;
    auto chain = f.device.pop();
    REQUIRE(chain);
    CHECK_FALSE(*chain);
    CHECK_FALSE(f.device.take_interrupt());
}

TEST_CASE("a chain is read and written in pieces that do not match its buffers") {
    Fixture f;
    std::memcpy(f.memory.data() + buffers, "hello, ", 7);
    std::memcpy(f.memory.data() + buffers + 100, "world", 5);
    f.driver.descriptor(3, {buffers, 7, flag_next, 5});
    f.driver.descriptor(5, {buffers + 100, 5, flag_next, 0});
    f.driver.descriptor(0, {buffers + 200, 3, flag_next | flag_write, 1});
    f.driver.descriptor(1, {buffers + 300, 10, flag_write, 0});
    f.driver.offer(3);

    auto chain = f.pop();
    CHECK(chain.head == 3);
    CHECK(chain.reader.remaining() == 12);
    std::array<std::byte, 9> piece;
    CHECK(chain.reader.read(piece) == 9);
    CHECK(text(piece) == "hello, wo");
    CHECK(chain.reader.read(piece) == 3);
    CHECK(text(std::span(piece).first(3)) == "rld");
    CHECK(chain.reader.read(piece) == 0);

    CHECK(chain.writer.remaining() == 13);
    CHECK(chain.writer.write(bytes("abcde")) == 5);
    CHECK(chain.writer.write(bytes("0123456789")) == 8);
    CHECK(chain.writer.write(bytes("x")) == 0);
    CHECK(chain.writer.written() == 13);
    CHECK(std::memcmp(f.memory.data() + buffers + 200, "abc\0", 4) == 0);
    CHECK(std::memcmp(f.memory.data() + buffers + 300, "de01234567\0", 11) == 0);

    CHECK(f.driver.used_index() == 0);
    f.device.push(chain);
    CHECK(f.driver.used_index() == 1);
    CHECK(f.driver.used_element(0).id == 3);
    CHECK(f.driver.used_element(0).length == 13);
    CHECK(f.device.take_interrupt());
    CHECK_FALSE(f.device.take_interrupt());
}

TEST_CASE("a driver that wants no interrupts gets none") {
    Fixture f;
    f.driver.set_available_flags(1);
    f.driver.offer_buffer(0, buffers, 4, 0);
    f.device.push(f.pop());
    CHECK_FALSE(f.device.take_interrupt());
}

TEST_CASE("indices wrap around the ring and around 2^16") {
    Fixture f;
    for (std::uint32_t round = 0; round < 70000; ++round) {
        auto index = static_cast<std::uint16_t>(round % 8);
        f.driver.offer_buffer(index, buffers + round % 1000, 1 + round % 5, flag_write);
        auto chain = f.device.pop();
        if (!chain || !*chain || (*chain)->head != index)
            FAIL("round " << round);
        f.device.push(**chain);
        if (f.driver.used_index() != static_cast<std::uint16_t>(round + 1))
            FAIL("used index in round " << round);
    }
}

TEST_CASE("a full queue is taken in order") {
    Fixture f;
    for (std::uint16_t index = 0; index < 8; ++index)
        f.driver.offer_buffer(static_cast<std::uint16_t>(7 - index), buffers, 1, 0);
    for (std::uint16_t index = 0; index < 8; ++index)
        CHECK(f.pop().head == 7 - index);
}

TEST_CASE("a chain may be as long as the queue") {
    Fixture f;
    for (std::uint16_t index = 0; index < 8; ++index)
        f.driver.descriptor(index, {buffers + index, 1, index < 7 ? flag_next : std::uint16_t{0},
                                    static_cast<std::uint16_t>(index + 1)});
    f.driver.offer(0);
    CHECK(f.pop().reader.remaining() == 8);
}

TEST_CASE("each malformed chain has its own error") {
    Fixture f;
    SECTION("available index too far ahead") {
        f.driver.set_available_index(9);
        CHECK(f.pop_error() == QueueError::invalid_available_index);
    }
    SECTION("available index behind") {
        f.driver.set_available_index(0xffff);
        CHECK(f.pop_error() == QueueError::invalid_available_index);
    }
    SECTION("head out of range") {
        f.driver.offer(8);
        CHECK(f.pop_error() == QueueError::head_out_of_range);
    }
    SECTION("next out of range") {
        f.driver.offer_buffer(0, buffers, 4, 0);
        f.driver.descriptor(0, {buffers, 4, flag_next, 8});
        CHECK(f.pop_error() == QueueError::next_out_of_range);
    }
    SECTION("a descriptor that is its own successor") {
        f.driver.descriptor(2, {buffers, 4, flag_next, 2});
        f.driver.offer(2);
        CHECK(f.pop_error() == QueueError::descriptor_loop);
    }
    SECTION("a loop of three") {
        f.driver.descriptor(1, {buffers, 4, flag_next, 2});
        f.driver.descriptor(2, {buffers, 4, flag_next, 3});
        f.driver.descriptor(3, {buffers, 4, flag_next, 1});
        f.driver.offer(1);
        CHECK(f.pop_error() == QueueError::descriptor_loop);
    }
    SECTION("indirect") {
        f.driver.offer_buffer(0, buffers, 16, flag_indirect);
        CHECK(f.pop_error() == QueueError::indirect_not_negotiated);
    }
    SECTION("zero length") {
        f.driver.offer_buffer(0, buffers, 0, 0);
        CHECK(f.pop_error() == QueueError::zero_length);
    }
    SECTION("readable after writable") {
        f.driver.descriptor(0, {buffers, 4, flag_next | flag_write, 1});
        f.driver.descriptor(1, {buffers, 4, 0, 0});
        f.driver.offer(0);
        CHECK(f.pop_error() == QueueError::readable_after_writable);
    }
    SECTION("a buffer that ends one byte behind the memory") {
        f.driver.offer_buffer(0, memory_size - 7, 8, 0);
        CHECK(f.pop_error() == QueueError::buffer_out_of_bounds);
    }
    SECTION("an address above 4 GiB whose low half is fine") {
        f.driver.descriptor(0, {(std::uint64_t{1} << 32) + buffers, 4, 0, 0});
        f.driver.offer(0);
        CHECK(f.pop_error() == QueueError::buffer_out_of_bounds);
    }
    SECTION("an address and length whose sum wraps") {
        f.driver.descriptor(0, {~std::uint64_t{0} - 1, 4, 0, 0});
        f.driver.offer(0);
        CHECK(f.pop_error() == QueueError::buffer_out_of_bounds);
    }
    // The same error again: nothing was consumed.
    CHECK_FALSE(f.device.pop());
    CHECK(f.driver.used_index() == 0);
}

namespace {
/// 2 GiB of nothing, to make chains of more than 2^32 bytes.
class EndlessMemory final : public GuestMemory {
  public:
    explicit EndlessMemory(native::PlainMemory& start) : GuestMemory(std::uint64_t{1} << 31), start_(start) {}

  private:
    void copy_from(GuestAddress address, std::span<std::byte> destination) override {
        (*start_.region(address, destination.size())).read(0, destination);
    }
    void copy_to(GuestAddress, std::span<const std::byte>) override {}
    std::uint16_t load16(GuestAddress address) override { return (*start_.region(address, 2)).load16(0); }
    void store16(GuestAddress, std::uint16_t) override {}
    std::uint32_t load32(GuestAddress) override { return 0; }
    void store32(GuestAddress, std::uint32_t) override {}
    std::uint32_t exchange32(GuestAddress, std::uint32_t) override { return 0; }
    std::uint32_t or32(GuestAddress, std::uint32_t) override { return 0; }
    std::uint32_t add32(GuestAddress, std::uint32_t) override { return 0; }
    std::uint32_t compare_exchange32(GuestAddress, std::uint32_t, std::uint32_t) override { return 0; }
    void notify(GuestAddress) override {}

    native::PlainMemory& start_;
};
} // namespace

TEST_CASE("a chain of 2^32 bytes is too long") {
    native::PlainMemory start(memory_size);
    EndlessMemory memory(start);
    FakeQueue driver(start, 65536, 8);
    auto device = *Virtqueue::create(memory, driver.addresses(), 16);
    driver.descriptor(0, {0, 1U << 31, flag_next, 1});
    driver.descriptor(1, {0, 1U << 31, 0, 0});
    driver.offer(0);
    auto chain = device.pop();
    REQUIRE_FALSE(chain);
    CHECK(chain.error() == QueueError::chain_too_long);
}

TEST_CASE("every error has a message") {
    for (int error = 0; error <= static_cast<int>(QueueError::chain_too_long); ++error)
        CHECK_FALSE(message(static_cast<QueueError>(error)).empty());
}

TEST_CASE("a chain is read as structures and split where its parts end") {
    Fixture f;
    std::memcpy(f.memory.data() + buffers, "\x01\x02\x03\x04payl", 8);
    std::memcpy(f.memory.data() + buffers + 100, "oad, rest", 9);
    f.driver.descriptor(0, {buffers, 8, flag_next, 1});
    f.driver.descriptor(1, {buffers + 100, 9, flag_next, 2});
    f.driver.descriptor(2, {buffers + 200, 6, flag_next | flag_write, 3});
    f.driver.descriptor(3, {buffers + 300, 3, flag_write, 0});
    f.driver.offer(0);
    auto chain = f.pop();

    CHECK(chain.reader.read_structure<std::uint32_t>() == 0x0403'0201);
    auto payload = chain.reader.split(7);
    std::array<std::byte, 20> bytes;
    CHECK(payload.remaining() == 7);
    CHECK(text(std::span(bytes).first(payload.read(bytes))) == "payload");
    CHECK_FALSE(payload.read_structure<std::byte>());
    CHECK(chain.reader.remaining() == 6);
    CHECK_FALSE(chain.reader.read_structure<std::uint64_t>());
    auto all = chain.reader.split(100);
    CHECK(all.remaining() == 6);
    CHECK(chain.reader.remaining() == 0);
    auto places = all.take_regions();
    REQUIRE(places.size() == 1);
    CHECK(places[0].address() == buffers + 103);
    CHECK(places[0].length() == 6);

    auto data = chain.writer.split(7);
    auto into = data.take_regions();
    REQUIRE(into.size() == 2);
    CHECK(into[0].address() == buffers + 200);
    CHECK(into[1].address() == buffers + 300);
    CHECK(into[1].length() == 1);
    CHECK(data.written() == 0);
    CHECK_FALSE(chain.writer.write_structure(std::uint32_t{1}));
    CHECK(chain.writer.written() == 0);
    CHECK(chain.writer.write_structure(std::uint16_t{0x6261}));
    CHECK(chain.writer.written() == 2);
    CHECK(std::memcmp(f.memory.data() + buffers + 300, "\0ab", 3) == 0);
}

TEST_CASE("a table of indirect descriptors is checked") {
    Fixture f;
    auto indirect = *Virtqueue::create(f.memory, f.driver.addresses(), 16, true);
    auto error = [&] {
        f.driver.offer(0);
        auto chain = indirect.pop();
        REQUIRE_FALSE(chain);
        return chain.error();
    };
    constexpr GuestAddress table = buffers + 4096;
    for (std::uint32_t index = 0; index < 17; ++index)
        f.driver.put(table + 16 * index, Descriptor{buffers, 16, flag_next, static_cast<std::uint16_t>(index + 1)});
    SECTION("that goes on in the queue") {
        f.driver.descriptor(0, {table, 32, flag_indirect | flag_next, 1});
        CHECK(error() == QueueError::indirect_goes_on);
    }
    SECTION("that is empty") {
        f.driver.descriptor(0, {table, 0, flag_indirect, 0});
        CHECK(error() == QueueError::invalid_indirect_table);
    }
    SECTION("that ends within a descriptor") {
        f.driver.descriptor(0, {table, 24, flag_indirect, 0});
        CHECK(error() == QueueError::invalid_indirect_table);
    }
    SECTION("that is longer than the device's largest queue") {
        f.driver.descriptor(0, {table, 17 * 16, flag_indirect, 0});
        CHECK(error() == QueueError::invalid_indirect_table);
    }
    SECTION("outside of memory") {
        f.driver.descriptor(0, {memory_size - 16, 32, flag_indirect, 0});
        CHECK(error() == QueueError::indirect_table_out_of_bounds);
    }
    SECTION("that has one itself") {
        f.driver.descriptor(0, {table, 32, flag_indirect, 0});
        f.driver.put(table, Descriptor{table, 32, flag_indirect, 0});
        CHECK(error() == QueueError::indirect_within_indirect);
    }
    SECTION("that goes on behind its end") {
        f.driver.descriptor(0, {table, 32, flag_indirect, 0});
        CHECK(error() == QueueError::next_out_of_range);
    }
    SECTION("that is a loop") {
        f.driver.descriptor(0, {table, 32, flag_indirect, 0});
        f.driver.put(table + 16, Descriptor{buffers, 16, flag_next, 0});
        CHECK(error() == QueueError::descriptor_loop);
    }
}

TEST_CASE("a table as long as the device's largest queue is a chain") {
    Fixture f;
    auto indirect = *Virtqueue::create(f.memory, f.driver.addresses(), 16, true);
    constexpr GuestAddress table = buffers + 4096;
    for (std::uint16_t index = 0; index < 16; ++index)
        f.driver.put(table + 16 * index, Descriptor{buffers, 16, static_cast<std::uint16_t>(index < 15 ? flag_next : 0),
                                                    static_cast<std::uint16_t>(index + 1)});
    // 2.7.5.3.2: after a descriptor of the queue, and whatever its flag WRITE says.
    f.driver.descriptor(2, {buffers, 5, flag_next, 3});
    f.driver.descriptor(3, {table, 16 * 16, flag_indirect | flag_write, 0});
    f.driver.offer(2);
    auto chain = indirect.pop();
    REQUIRE(chain);
    REQUIRE(*chain);
    CHECK((*chain)->head == 2);
    CHECK((*chain)->reader.remaining() == 5 + 16 * 16);
}
