// SPDX-License-Identifier: MIT
// libFuzzer: the queue parser, and the console device behind it, on memory that an attacker wrote.
//
// The first byte of the input chooses what the others are: see the three functions. AddressSanitizer and GuestRegion's
// checks find accesses outside of memory; the checks below find wrong chains.

#include "platform/native/plain_memory.hpp"
#include "src/virtio/console.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

using namespace auklet;

constexpr std::size_t memory_size = 32768;
constexpr std::uint32_t largest_queue = 256;

void require(bool condition) {
    if (!condition)
        std::abort();
}

class Sink final : public virtio::ConsoleEvents, public virtio::TransportEvents {
  public:
    void console_output(std::uint32_t, std::span<const std::byte>) override {}
    void console_consumed(std::uint32_t, std::size_t) override {}
    void console_opened(std::uint32_t, bool) override {}
    void raise_interrupt(std::uint32_t) override {}
    void device_failed(std::string_view, std::string_view reason) override { require(!reason.empty()); }
};

/// Takes chains as a device does, and checks what it is given.
void use_queue(native::PlainMemory& memory, const virtio::QueueAddresses& addresses) {
    auto queue = virtio::Virtqueue::create(memory, addresses, largest_queue);
    if (!queue)
        return;
    std::array<std::byte, 512> bytes{};
    for (std::uint32_t count = 0; count < 2 * addresses.size; ++count) {
        auto chain = queue->pop();
        if (!chain || !*chain)
            break;
        auto& [head, reader, writer] = **chain;
        require(head < addresses.size);
        require(reader.remaining() + writer.remaining() > 0);
        require(reader.remaining() + writer.remaining() <= std::uint64_t{addresses.size} * memory_size);
        const auto readable = reader.remaining();
        std::uint64_t read = 0;
        while (auto part = reader.read(bytes))
            read += part;
        require(read == readable && reader.remaining() == 0);
        const auto writable = writer.remaining();
        for (std::uint64_t written = 0; written < std::min<std::uint64_t>(writable, 4096);) {
            auto part = writer.write(bytes);
            require(part != 0);
            written += part;
        }
        require(writer.written() + writer.remaining() == writable);
        queue->push(**chain);
        (void)queue->take_interrupt();
    }
}

/// The input is memory, and at its start the place of the queue.
void parse_memory(std::span<const std::uint8_t> input) {
    native::PlainMemory memory(memory_size);
    std::memcpy(memory.data(), input.data(), input.size());
    virtio::QueueAddresses addresses;
    std::memcpy(&addresses, memory.data(), sizeof addresses);
    // Most random values are far outside, which the unit tests cover: keep the fuzzer near the edges.
    addresses.size %= 2 * largest_queue;
    addresses.descriptors %= 2 * memory_size;
    addresses.available %= 2 * memory_size;
    addresses.used %= 2 * memory_size;
    use_queue(memory, addresses);
}

/// The input is a list of descriptors of a queue at a good place: six bytes each, most of whose values are nearly
/// right.
void parse_descriptors(std::span<const std::uint8_t> input) {
    constexpr virtio::QueueAddresses addresses{16, 0x1000, 0x2000, 0x3000};
    native::PlainMemory memory(memory_size);
    auto put = [&](std::size_t address, auto value) { std::memcpy(memory.data() + address, &value, sizeof value); };
    const std::uint8_t pattern = input[0];
    const auto records = input.subspan(1);
    std::uint16_t index = 0;
    for (; index < addresses.size && (index + 1U) * 6 <= records.size(); ++index) {
        auto record = records.subspan(index * 6U, 6);
        const std::size_t place = addresses.descriptors + index * 16U;
        put(place, static_cast<std::uint64_t>((record[0] | record[1] << 8) % (memory_size + 512)));
        put(place + 8, static_cast<std::uint32_t>((record[2] | record[3] << 8) % 4096));
        put(place + 12, static_cast<std::uint16_t>(record[4] % 9 == 8 ? 4 : record[4] & 3));
        put(place + 14, static_cast<std::uint16_t>(record[5] % 18));
        put(addresses.available + 4U + index * 2U, static_cast<std::uint16_t>((index * (pattern | 1)) % 17));
    }
    put(addresses.available + 2U, static_cast<std::uint16_t>(index + (pattern == 255 ? 2 : 0)));
    use_queue(memory, addresses);
}

void drive_console(std::span<const std::uint8_t> input) {
    native::PlainMemory memory(memory_size);
    Sink sink;
    virtio::ConsoleDevice console({{.name = "a"}, {.name = "b"}}, {80, 24}, sink);
    auto page = memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE);
    virtio::Transport transport(memory, *page, 0, console, sink);
    std::memcpy(memory.data(), input.data(), input.size());

    // The control page's registers come from the input too, then a driver that is well enough behaved to start.
    auto registers = page->read_structure<abi::VirtioPage>(0);
    registers.driver_features[0] = 2;
    registers.driver_features[1] = 1;
    registers.status = 15;
    registers.kick = ~0U;
    for (std::size_t index = 0; index < AUKLET_MAX_QUEUES && (index + 1) * 16 <= memory_size; ++index) {
        std::uint32_t words[4];
        std::memcpy(words, memory.data() + index * 16, sizeof words);
        registers.queue[index].size = 1U << (words[0] % 7);
        registers.queue[index].ready = words[0] >> 31 ? 0 : 1;
        registers.queue[index].descriptors = words[1] % memory_size & ~15U;
        registers.queue[index].available = words[2] % memory_size & ~1U;
        registers.queue[index].used = words[3] % memory_size & ~3U;
    }
    page->write_structure(0, registers);
    transport.service();
    std::array<std::byte, 300> typed{};
    console.input(0, typed);
    console.input(1, typed);
    console.close_input(1);
    page->store32(offsetof(abi::VirtioPage, kick), 0xff);
    transport.service();
    console.resize({100, 40});
    page->store32(offsetof(abi::VirtioPage, status), 0);
    page->store32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
    transport.service();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span input(data, std::min(size, memory_size - AUKLET_VIRTIO_PAGE));
    if (input.empty())
        return 0;
    const auto rest = input.subspan(1);
    if (rest.empty())
        return 0;
    switch (input[0] % 3) {
    case 0:
        parse_memory(rest);
        break;
    case 1:
        parse_descriptors(rest);
        break;
    default:
        drive_console(rest);
    }
    return 0;
}
