// SPDX-License-Identifier: MIT
// libFuzzer: two network cards on a switch, their drivers, a port like the translator's, and one to other machines. All
// of what an attacker can write comes from the input: descriptors, headers, frames, indices, features.

#include "src/virtio/net.hpp"
#include "platform/native/plain_memory.hpp"
#include "require.hpp"
#include "src/network/capture.hpp"
#include "src/network/remote_port.hpp"
#include "src/network/switch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using namespace auklet;

constexpr std::size_t memory_size = 1 << 18;
constexpr std::uint16_t queue_size = 16;

class Environment final : public virtio::TransportEvents, public network::CaptureSink, public Clock {
  public:
    void raise_interrupt(std::uint32_t) override {}
    void device_failed(std::string_view, std::string_view reason) override { require(!reason.empty()); }
    bool captured(network::Bytes bytes) override {
        // The header of the file, or a record.
        require(bytes.size() == 24 || (bytes.size() >= 16 + 14 && bytes.size() <= 16 + network::longest_frame));
        return true;
    }
    double now() override { return time; }
    double wall_time() override { return time; }
    void set_timer(double) override {}

    double time = 0;
};

network::Mac address(unsigned number) { return {std::byte{2}, {}, {}, {}, {}, static_cast<std::byte>(number)}; }

/// What a Frame promises.
void check(const network::Frame& frame) {
    const auto& [offload, bytes] = frame;
    require(bytes.size() >= 14 && bytes.size() <= network::longest_frame);
    require((offload.flags & ~network::needs_checksum) == 0);
    if (offload.flags == 0) {
        require(offload.gso_type == network::gso_none);
    } else {
        require(offload.checksum_start >= 14);
        require(std::size_t{offload.checksum_start} + offload.checksum_offset + 2 <= bytes.size());
    }
    if (offload.gso_type == network::gso_none)
        return;
    require(offload.gso_size >= 8);
    require(offload.header_length >= offload.checksum_start + 20U);
    require(std::size_t{offload.header_length} + offload.gso_size < bytes.size());
}

/// Looks at each frame, takes some, and sends answers at once.
class Translator final : public network::Port {
  public:
    explicit Translator(network::Link& link) : link_(link) {}
    bool deliver(const network::Frame& frame) override {
        check(frame);
        if (full)
            return false;
        network::Segmenter segmenter(frame);
        std::vector<std::byte> segment;
        std::size_t payload = 0;
        while (segmenter.next(segment)) {
            require(segment.size() <= frame.bytes.size());
            payload += segment.size() - frame.offload.header_length;
        }
        require(payload == frame.bytes.size() - frame.offload.header_length);
        answer(frame);
        return true;
    }
    void room() override {
        require(!sending);
        ++rooms;
    }
    /// The frame goes back, with all that it asks for.
    void answer(const network::Frame& frame) {
        if (!answers)
            return;
        sending = true;
        std::vector<std::byte> bytes(frame.bytes.begin(), frame.bytes.end());
        std::copy_n(bytes.begin() + 6, 6, bytes.begin());
        std::ranges::copy(address(9), bytes.begin() + 6);
        (void)link_.send(*this, {frame.offload, bytes});
        sending = false;
    }
    bool full = false;
    bool answers = false;
    bool sending = false;
    int rooms = 0;

  private:
    network::Link& link_;
};

/// Other machines, which may have no room.
class Outside final : public LinkBackend {
  public:
    bool link_send(const network::Frame& frame) override {
        check(frame);
        return !full;
    }
    void link_ready() override { ++ready; }

    bool full = false;
    int ready = 0;
};

struct Machine {
    Machine(network::Switch& link, Environment& environment, unsigned number)
        : device({.mac = address(number)}, link),
          page(*memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE)),
          transport(memory, page, 0, device, environment), capture(environment, environment) {
        require(link.attach(device, network::WhenFull::lose, address(number)));
        device.set_capture(&capture);
    }
    void put(std::size_t place, auto value) { std::memcpy(memory.data() + place, &value, sizeof value); }
    void set_status(std::uint32_t status) {
        page.store32(offsetof(abi::VirtioPage, status), status);
        page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        transport.service();
    }
    void start(std::uint32_t features) {
        set_status(0);
        std::memset(memory.data(), 0, 0x2000);
        available = {};
        auto registers = page.read_structure<abi::VirtioPage>(0);
        registers.driver_features[0] = (features & registers.device_features[0]) | 1U << 28;
        registers.driver_features[1] = 1;
        for (std::uint32_t queue = 0; queue < 2; ++queue) {
            registers.queue[queue].size = queue_size;
            registers.queue[queue].ready = 1;
            registers.queue[queue].descriptors = queue * 0x1000;
            registers.queue[queue].available = queue * 0x1000 + 0x400;
            registers.queue[queue].used = queue * 0x1000 + 0x800;
        }
        page.write_structure(0, registers);
        set_status(15);
    }
    void offer(std::uint32_t queue, std::uint16_t index, std::uint32_t place, std::uint32_t length, std::uint16_t flags,
               bool silent) {
        const std::size_t descriptor = queue * 0x1000 + index * 16U;
        put(descriptor, std::uint64_t{place});
        put(descriptor + 8, length);
        put(descriptor + 12, flags);
        put(descriptor + 14, static_cast<std::uint16_t>((index + 1) % queue_size));
        const std::size_t ring = queue * 0x1000 + 0x400;
        put(ring + 4 + 2U * (available[queue] % queue_size), index);
        put(ring + 2, ++available[queue]);
        if (!silent) {
            page.or32(offsetof(abi::VirtioPage, kick), 1U << queue);
            transport.service();
        }
    }

    native::PlainMemory memory{memory_size};
    virtio::NetDevice device;
    GuestRegion page;
    virtio::Transport transport;
    network::Capture capture;
    std::array<std::uint16_t, 2> available{};
};

/// Writes a frame that is nearly right: Ethernet, IP and TCP as `bytes` say. Returns its length.
std::size_t write_frame(Machine& machine, std::size_t place, std::span<const std::uint8_t> bytes, unsigned sender) {
    std::array<std::uint8_t, 128> frame{};
    frame[0] = bytes[1] == 255 ? 0xff : 2;
    frame[5] = bytes[1] % 16;
    frame[6] = 2;
    frame[11] = static_cast<std::uint8_t>(bytes[2] == 255 ? bytes[3] : sender);
    const bool v6 = bytes[2] % 2 != 0;
    std::size_t ip = 14;
    std::size_t type = 12;
    if (bytes[2] % 16 == 2) {
        frame[12] = 0x81;
        ip = 18;
        type = 16;
    }
    frame[type] = v6 ? 0x86 : 0x08;
    frame[type + 1] = v6 ? 0xdd : 0;
    const std::size_t payload = bytes[4] * 250U;
    const std::size_t extra = bytes[5] % 4 == 3 ? 8 : 0; // options of IPv4, an extension of IPv6
    const std::size_t tcp = ip + (v6 ? 40 : 20) + extra;
    const std::size_t header = tcp + 20 + bytes[6] % 4 * 4U;
    const std::size_t size = header + payload;
    const std::size_t length = size - ip - (v6 ? 40 : 0) + (bytes[7] == 255 ? 1 : 0);
    frame[ip] = static_cast<std::uint8_t>(v6 ? 0x60 : 0x45 + extra / 4);
    frame[ip + (v6 ? 4 : 2)] = static_cast<std::uint8_t>(length >> 8);
    frame[ip + (v6 ? 5 : 3)] = static_cast<std::uint8_t>(length);
    frame[ip + (v6 ? 6 : 9)] = v6 && extra != 0 ? 60 : bytes[7] == 254 ? 17 : 6;
    if (v6 && extra != 0) {
        frame[ip + 40] = bytes[7] == 253 ? 60 : 6;
        frame[ip + 41] = bytes[7] == 252 ? 200 : 0;
    }
    frame[tcp + 12] = static_cast<std::uint8_t>((5 + bytes[6] % 4) << 4);
    if (bytes[7] == 251)
        frame[bytes[3] % frame.size()] = bytes[4];

    struct {
        std::uint8_t flags, gso_type;
        std::uint16_t header_length, gso_size, start, offset, buffers;
    } offload{.flags = static_cast<std::uint8_t>(bytes[5] & 3),
              .gso_type = static_cast<std::uint8_t>(bytes[5] & 16 ? (v6 ? 4 : 1) : bytes[5] >> 6),
              .header_length = bytes[3],
              .gso_size = static_cast<std::uint16_t>(bytes[6] * 16),
              .start = static_cast<std::uint16_t>(bytes[5] & 32 ? tcp : bytes[3] * 256U + bytes[4]),
              .offset = static_cast<std::uint16_t>(bytes[7] == 250 ? bytes[3] * 256U : 16),
              .buffers = 0};
    static_assert(sizeof offload == 12);
    machine.put(place, offload);
    std::memcpy(machine.memory.data() + place + sizeof offload, frame.data(), frame.size());
    return sizeof offload + size;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span input(data, size);
    Environment environment;
    network::Switch link(environment);
    Translator translator(link);
    require(link.attach(translator, network::WhenFull::wait, address(9), network::Side::inside));
    Outside outside;
    const network::Settings settings;
    network::RemotePort remote(link, outside, {.offloads = size % 4 != 0}, size % 8 < 4 ? &settings : nullptr);
    require(link.attach(remote, network::WhenFull::wait, {}, network::Side::outside));
    Machine first(link, environment, 1);
    Machine second(link, environment, 2);
    constexpr std::uint32_t all_features = ~0U;
    first.start(all_features);
    second.start(all_features);
    for (std::size_t record = 0; (record + 1) * 8 <= input.size(); ++record) {
        const auto bytes = input.subspan(record * 8, 8);
        const bool is_first = bytes[0] % 2 == 0;
        Machine& machine = is_first ? first : second;
        const auto index = static_cast<std::uint16_t>(bytes[7] == 249 ? bytes[3] : record % queue_size);
        environment.time += bytes[1];
        switch (bytes[0] / 2 % 16) {
        case 0:
            machine.start(bytes[1] % 4 == 0 ? all_features : bytes[1] << 15 | bytes[2] << 8 | bytes[3]);
            break;
        case 1:
            if (bytes[1] % 2 != 0) {
                outside.full = !outside.full;
                if (!outside.full)
                    remote.writable();
                break;
            }
            translator.full = !translator.full;
            if (!translator.full)
                link.room(translator);
            break;
        case 2:
            translator.answers = !translator.answers;
            break;
        case 3:
            machine.device.set_carrier(bytes[1] % 2 != 0);
            break;
        case 4:
            if (bytes[1] == 0)
                machine.put(0x1402 - 0x1000 * (bytes[2] % 2U), static_cast<std::uint16_t>(bytes[3]));
            break;
        case 5: {
            // The translator sends what it likes, as far as a Frame allows.
            const bool is_remote = bytes[0] >= 128;
            const auto length = write_frame(first, 0x20000, bytes, is_remote ? 8 : 9) - 12;
            network::Offload claimed;
            std::memcpy(&claimed, first.memory.data() + 0x20000, sizeof claimed);
            const std::span content(first.memory.data() + 0x2000c, length);
            if (is_remote) {
                // Other machines send what they like.
                (void)remote.receive(claimed, bytes[1] == 254 ? content.first(bytes[2]) : content);
                break;
            }
            const auto frame = network::checked_frame(claimed, content, {.checksum = true, .tcp4 = true, .tcp6 = true});
            if (frame) {
                check(*frame);
                translator.sending = true;
                (void)link.send(translator, *frame);
                translator.sending = false;
            }
            break;
        }
        case 6:
        case 7:
        case 8:
            machine.offer(0, index, 0x4000 + record % queue_size * 0x1000U,
                          bytes[1] == 255 ? bytes[2] : bytes[1] * 16U + 12, bytes[2] == 255 ? bytes[3] & 7 : 2,
                          bytes[3] % 4 == 0);
            break;
        default: {
            const auto length = write_frame(machine, 0x20000, bytes, is_first ? 1 : 2);
            machine.offer(1, index, 0x20000, static_cast<std::uint32_t>(bytes[1] == 254 ? bytes[2] : length),
                          bytes[2] == 254 ? bytes[3] & 7 : 0, bytes[3] % 8 == 0);
        }
        }
    }
    translator.full = false;
    link.room(translator);
    outside.full = false;
    remote.writable();
    first.set_status(0);
    second.set_status(0);
    // No machine holds up the translator any more.
    std::array<std::byte, 60> bytes{};
    for (unsigned number : {1U, 2U}) {
        std::ranges::copy(address(number), bytes.begin());
        std::ranges::copy(address(9), bytes.begin() + 6);
        require(link.send(translator, {{}, bytes}));
    }
    require(link.addresses() <= 3 + 2 * network::Switch::most_addresses);
    return 0;
}
