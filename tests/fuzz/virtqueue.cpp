// SPDX-License-Identifier: MIT
// libFuzzer: the queue parser, and the console, socket and block devices behind it, on memory that an
// attacker wrote.
//
// The first byte of the input chooses what the others are: see the five functions. AddressSanitizer and GuestRegion's
// checks find accesses outside of memory; the checks below find wrong chains.

#include "platform/native/plain_memory.hpp"
#include "require.hpp"
#include "src/virtio/block.hpp"
#include "src/virtio/console.hpp"
#include "src/virtio/socket.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <vector>

namespace {

using namespace auklet;

constexpr std::size_t memory_size = 32768;
constexpr std::uint32_t largest_queue = 256;

class Sink final : public ConsoleBackend, public virtio::TransportEvents {
  public:
    void console_output(std::span<const std::byte>) override {}
    void console_consumed(std::size_t) override {}
    void raise_interrupt(std::uint32_t) override {}
    void device_failed(std::string_view, std::string_view reason) override { require(!reason.empty()); }
};

/// Takes chains as a device does, and checks what it is given.
void use_queue(native::PlainMemory& memory, const virtio::QueueAddresses& addresses) {
    auto queue = virtio::Virtqueue::create(memory, addresses, largest_queue, true);
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
        require(reader.remaining() + writer.remaining() <= std::uint64_t{2} * addresses.size * memory_size);
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
    virtio::ConsoleDevice console({80, 24}, sink);
    auto page = memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE);
    virtio::Transport transport(memory, *page, 0, console, sink);
    std::memcpy(memory.data(), input.data(), input.size());

    // The control page's registers come from the input too, then a driver that is well enough behaved to start.
    auto registers = page->read_structure<abi::VirtioPage>(0);
    registers.driver_features[0] = 1;
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
    console.input(typed);
    console.output_taken(100);
    page->store32(offsetof(abi::VirtioPage, kick), 0xff);
    transport.service();
    console.resize({100, 40});
    page->store32(offsetof(abi::VirtioPage, status), 0);
    page->store32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
    transport.service();
}

/// Counts what the device tells its owner, and checks that it tells of connections in an order that makes sense.
class SocketSink final : public SocketBackend {
  public:
    void socket_opened(ConnectionId id) override {
        require(id < first_accepted);
        open.insert(id);
    }
    void socket_accepted(ConnectionId id, std::uint32_t) override {
        require(id >= first_accepted && open.insert(id).second);
    }
    void socket_data(ConnectionId id, std::span<const std::byte> bytes) override {
        require(open.contains(id) && !bytes.empty());
        held[id] += bytes.size();
        require(held[id] <= virtio::SocketDevice::receive_limit);
    }
    void socket_sent(ConnectionId id, std::size_t count) override { require(open.contains(id) && count != 0); }
    void socket_ended(ConnectionId id) override { require(open.contains(id)); }
    void socket_closed(ConnectionId id, bool) override {
        open.erase(id);
        held.erase(id);
    }

    std::set<ConnectionId> open;
    std::map<ConnectionId, std::size_t> held;
};

/// The input is a list of packets of 8 bytes, most of whose values are nearly right, between which the owner acts.
void drive_socket(std::span<const std::uint8_t> input) {
    constexpr std::uint32_t queue_size = 16;
    constexpr std::uint32_t receive_buffer = 128;
    native::PlainMemory memory(memory_size);
    Sink events;
    SocketSink owner;
    virtio::SocketDevice device(owner);
    auto page = memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE);
    virtio::Transport transport(memory, *page, 0, device, events);
    auto put = [&](std::size_t address, auto value) { std::memcpy(memory.data() + address, &value, sizeof value); };
    auto get16 = [&](std::size_t address) {
        std::uint16_t value;
        std::memcpy(&value, memory.data() + address, sizeof value);
        return value;
    };

    auto registers = page->read_structure<abi::VirtioPage>(0);
    registers.driver_features[1] = 1;
    registers.status = 15;
    registers.kick = AUKLET_VIRTIO_KICK_STATUS;
    for (std::uint32_t queue = 0; queue < 2; ++queue) {
        const std::uint32_t base = queue * 0x1000;
        registers.queue[queue].size = queue_size;
        registers.queue[queue].ready = 1;
        registers.queue[queue].descriptors = base;
        registers.queue[queue].available = base + 0x400;
        registers.queue[queue].used = base + 0x800;
    }
    page->write_structure(0, registers);
    transport.service();
    auto offer = [&](std::uint32_t queue, std::uint16_t index, std::uint32_t address, std::uint32_t length,
                     std::uint16_t flags) {
        const std::size_t descriptor = queue * 0x1000 + index * 16U;
        put(descriptor, std::uint64_t{address});
        put(descriptor + 8, length);
        put(descriptor + 12, flags);
        const std::size_t available = queue * 0x1000 + 0x400;
        const auto next = get16(available + 2);
        put(available + 4 + 2U * (next % queue_size), index);
        put(available + 2, static_cast<std::uint16_t>(next + 1));
        page->store32(offsetof(abi::VirtioPage, kick), 1U << queue);
        transport.service();
    };

    device.listen(1);
    std::uint32_t id = 0;
    for (std::size_t record = 0; (record + 1) * 8 <= input.size(); ++record) {
        const auto bytes = input.subspan(record * 8, 8);
        const ConnectionId any = bytes[1] % 4 == 3 ? first_accepted + bytes[2] % 4 : bytes[2] % 4U;
        switch (bytes[0] % 8) {
        case 0:
            device.connect(id++ % 4, 80);
            break;
        case 1:
            device.send(any, std::as_bytes(bytes));
            break;
        case 2: {
            const std::size_t count = std::min<std::size_t>(owner.held[any], bytes[3] * 1024U);
            owner.held[any] -= count;
            device.taken(any, count);
            break;
        }
        case 3:
            bytes[3] % 2 ? device.finish(any) : device.abort(any);
            break;
        case 4:
            offer(0, static_cast<std::uint16_t>(record % queue_size),
                  static_cast<std::uint32_t>(0x2000 + record % queue_size * receive_buffer),
                  bytes[1] == 255 ? bytes[2] + 1U : receive_buffer, 2);
            break;
        default: {
            // 5.10.6: the header, little endian and packed.
            constexpr std::size_t packet = 0x4000;
            const std::uint32_t length = bytes[4] == 255 ? ~0U : bytes[4] * 16U;
            put(packet, std::uint64_t{bytes[1] == 255 ? 9U : 3U});
            put(packet + 8, std::uint64_t{bytes[1] == 254 ? 9U : 2U});
            put(packet + 16, std::uint32_t{bytes[2] % 4 == 0 ? 80U : bytes[2] % 4U});
            put(packet + 20, std::uint32_t{bytes[3] % 4 == 0 ? 1U : (1U << 16) + bytes[3] % 4U - 1});
            put(packet + 24, length);
            put(packet + 28, static_cast<std::uint16_t>(bytes[1] == 253 ? 2 : 1));
            put(packet + 30, static_cast<std::uint16_t>(bytes[5] % 9));
            put(packet + 32, std::uint32_t{bytes[6] % 4U});
            put(packet + 36, std::uint32_t{bytes[7] * 256U});
            put(packet + 40, std::uint32_t{bytes[6] / 4U});
            offer(1, 0, packet, 44 + (length == ~0U ? 7 : length - (bytes[1] == 252 ? length / 2 : 0)), 0);
        }
        }
    }
    for (std::uint32_t status : {0U, 15U}) {
        page->store32(offsetof(abi::VirtioPage, status), status);
        page->store32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        transport.service();
    }
    require(owner.open.empty());
}

/// Checks what the device asks of a disk, and answers when it is told to.
class DiskSink final : public DiskBackend {
  public:
    std::uint64_t size = 64 * 512;

    void submit(DiskId disk, const DiskRequest& request) override {
        require(disk == 0 && !requests.contains(request.id));
        require(request.offset % 512 == 0 && request.length % 512 == 0);
        require(request.length <= size && request.offset <= size - request.length);
        std::uint64_t total = 0;
        for (const auto& region : request.memory)
            total += region.length();
        const bool moves = request.operation == DiskOperation::read || request.operation == DiskOperation::write;
        require(total == (moves ? request.length : 0));
        require((request.length != 0) == (request.operation != DiskOperation::flush));
        requests[request.id] = {request.operation, {request.memory.begin(), request.memory.end()}};
    }

    /// The memory of a request is the disk's until it is answered.
    void answer(virtio::BlockDevice& device, bool succeeded) {
        if (requests.empty())
            return;
        auto [id, request] = *requests.begin();
        requests.erase(requests.begin());
        if (request.operation == DiskOperation::read)
            for (const auto& region : request.memory)
                region.write(0, std::vector<std::byte>(region.length(), std::byte{0xdd}));
        device.completed(id, succeeded);
    }

    struct Request {
        DiskOperation operation;
        std::vector<GuestRegion> memory;
    };
    std::map<std::uint32_t, Request> requests;
};

/// The input is a list of requests of 8 bytes, most of whose values are nearly right, between which the disk answers,
/// the disk grows, and the driver resets the device.
void drive_block(std::span<const std::uint8_t> input) {
    constexpr std::uint16_t queue_size = 16;
    constexpr GuestAddress table = 0x1000;
    constexpr GuestAddress header = 0x2000;
    constexpr GuestAddress data = 0x3000;
    native::PlainMemory memory(memory_size);
    Sink events;
    DiskSink disk;
    virtio::BlockDevice device(0, {.name = "disk", .size = disk.size, .discards = true}, disk);
    auto page = memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE);
    virtio::Transport transport(memory, *page, 0, device, events);
    auto put = [&](std::size_t address, auto value) { std::memcpy(memory.data() + address, &value, sizeof value); };
    auto set_status = [&](std::uint32_t status) {
        page->store32(offsetof(abi::VirtioPage, status), status);
        page->store32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        transport.service();
    };
    auto start = [&] {
        set_status(0);
        std::memset(memory.data(), 0, 0x1000);
        auto registers = page->read_structure<abi::VirtioPage>(0);
        registers.driver_features[0] = 1U << 28;
        registers.driver_features[1] = 1;
        registers.queue[0].size = queue_size;
        registers.queue[0].ready = 1;
        registers.queue[0].descriptors = 0;
        registers.queue[0].available = 0x400;
        registers.queue[0].used = 0x800;
        page->write_structure(0, registers);
        set_status(15);
    };
    start();
    std::uint16_t available = 0;
    for (std::size_t record = 0; (record + 1) * 8 <= input.size(); ++record) {
        const auto bytes = input.subspan(record * 8, 8);
        if (bytes[0] % 4 == 3) {
            disk.answer(device, bytes[1] % 2 == 0);
            continue;
        }
        if (bytes[0] == 250) {
            disk.size += bytes[1] * 512U;
            device.grow(disk.size);
            continue;
        }
        if (bytes[0] == 254) {
            set_status(0);
            while (!disk.requests.empty())
                disk.answer(device, true);
            start();
            available = 0;
            continue;
        }
        // The header: a type of 0 to 15, and a sector near the disk's end or far behind it.
        put(header, std::uint32_t{bytes[1] % 16U});
        put(header + 8, bytes[2] > 250 ? ~std::uint64_t{0} - bytes[2] % 4 : std::uint64_t{bytes[2] % 70U});
        // A range, for those that take one.
        put(data, std::uint64_t{bytes[3] % 70U});
        put(data + 8, bytes[3] > 250 ? ~0U : bytes[3] % 70U);
        put(data + 12, std::uint32_t{bytes[3] == 250});
        const bool indirect = bytes[4] % 2 != 0;
        const GuestAddress descriptors = indirect ? table : 0;
        const std::uint16_t first = indirect ? 0 : record * 4 % queue_size;
        const std::uint32_t length = bytes[5] == 255 ? 16 : bytes[5] % 8 * 512U;
        auto describe = [&](std::uint16_t index, GuestAddress address, std::uint32_t size, std::uint16_t flags) {
            const std::size_t place = descriptors + (first + index) * 16U;
            put(place, std::uint64_t{address});
            put(place + 8, size);
            put(place + 12, flags);
            put(place + 14, static_cast<std::uint16_t>(first + index + 1));
        };
        const std::uint16_t writable = bytes[6] % 2 * 2;
        describe(0, header, bytes[6] == 255 ? 8 : 16, 1);
        describe(1, data, length == 0 ? 16 : length, 1 | writable);
        describe(2, data + (bytes[7] % 2 != 0 ? length : 0x2000), 512, 1 | writable);
        describe(3, header + 64, bytes[6] == 254 ? 2 : 1, 2);
        const std::uint16_t head = indirect ? record % queue_size : first;
        if (indirect) {
            put(head * 16U, std::uint64_t{table});
            put(head * 16U + 8, std::uint32_t{bytes[4] == 255 ? 63U : 64U});
            put(head * 16U + 12, std::uint16_t{4});
        }
        put(0x400 + 4 + 2U * (available % queue_size), head);
        put(0x400 + 2, ++available);
        page->store32(offsetof(abi::VirtioPage, kick), 1U);
        transport.service();
    }
    set_status(0);
    while (!disk.requests.empty())
        disk.answer(device, false);
    // The reset is over when all is answered.
    require(page->load32(offsetof(abi::VirtioPage, status_result)) == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span input(data, std::min(size, memory_size - AUKLET_VIRTIO_PAGE));
    if (input.empty())
        return 0;
    const auto rest = input.subspan(1);
    if (rest.empty())
        return 0;
    switch (input[0] % 5) {
    case 0:
        parse_memory(rest);
        break;
    case 1:
        parse_descriptors(rest);
        break;
    case 2:
        drive_console(rest);
        break;
    case 3:
        drive_socket(rest);
        break;
    default:
        drive_block(rest);
    }
    return 0;
}
