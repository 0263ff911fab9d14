// SPDX-License-Identifier: MIT
// libFuzzer: the file system device with a driver and a share that say anything. AddressSanitizer and GuestRegion's
// checks find accesses outside of memory; ShareSink checks what the device asks of a share.

#include "src/virtio/fs.hpp"
#include "platform/native/plain_memory.hpp"
#include "require.hpp"

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

void append(std::vector<std::uint32_t>& words, const std::vector<std::uint32_t>& more) {
    words.insert(words.end(), more.begin(), more.end());
}

class Events final : public virtio::TransportEvents {
  public:
    void raise_interrupt(std::uint32_t) override {}
    void device_failed(std::string_view, std::string_view reason) override { require(!reason.empty()); }
};

/// Checks what the device asks of a share, and answers when it is told to.
class ShareSink final : public ShareBackend {
  public:
    void submit(ShareId share, const ShareRequest& request) override {
        require(share == 0);
        if (request.operation == ShareOperation::reset) {
            references.clear();
            handles.clear();
            return;
        }
        if (request.operation == ShareOperation::forget) {
            require(references[request.node] >= request.length && request.length != 0);
            references[request.node] -= request.length;
            return;
        }
        require(request.operation < ShareOperation::count && !requests.contains(request.id));
        require(request.offset < std::uint64_t{1} << 53 && request.changes.size < std::uint64_t{1} << 53);
        require(request.handle == 0 || handles.contains(request.handle));
        for (const auto* name : {&request.name, &request.other_name})
            require(name->size() <= 4095 && !name->contains('\0'));
        const bool names_target = request.operation == ShareOperation::make_link;
        require(!request.name.contains('/') && request.name != "." && request.name != ".." &&
                request.name.size() <= 255);
        require(names_target || (!request.other_name.contains('/') && request.other_name != ".."));
        std::uint64_t total = 0;
        for (const auto& region : request.memory)
            total += region.length();
        const bool moves = request.operation == ShareOperation::read || request.operation == ShareOperation::write;
        require(total == (moves ? request.length : 0) && request.length <= 1 << 20);
        if (request.operation == ShareOperation::close)
            handles.erase(request.handle);
        requests[request.id] = {request.operation, {request.memory.begin(), request.memory.end()}, request.flags != 0};
    }

    void answer(virtio::FsDevice& device, std::span<const std::uint8_t> input) {
        if (requests.empty())
            return;
        auto [id, request] = *requests.begin();
        requests.erase(requests.begin());
        if (request.operation == ShareOperation::read)
            for (const auto& region : request.memory)
                region.write(0, std::vector<std::byte>(region.length(), std::byte{0xdd}));
        std::vector<std::uint32_t> words;
        const auto put_node = [&](bool counts) {
            const std::uint32_t node = input[1] % 4 + 1U;
            append(words, std::vector<std::uint32_t>{node, 0});
            words.resize(words.size() + 22, input[2]);
            if (counts && node != 1)
                ++references[node];
        };
        const auto put_handle = [&] {
            append(words, std::vector<std::uint32_t>{input[2] % 4 + 1U, 0, input[3] % 2U});
            handles.insert(input[2] % 4 + 1U);
        };
        const bool fails = input[4] % 8 == 0;
        switch (request.operation) {
        case ShareOperation::open:
        case ShareOperation::open_folder:
            put_handle();
            break;
        case ShareOperation::create:
            put_node(!fails);
            put_handle();
            break;
        case ShareOperation::list:
            for (int entry = 0; entry < input[3] % 4; ++entry) {
                request.flags ? put_node(!fails) : append(words, std::vector<std::uint32_t>{9, 0});
                append(words, std::vector<std::uint32_t>{1, 0, 8, 3, 0x434241});
            }
            break;
        case ShareOperation::read:
        case ShareOperation::write:
            words.push_back(input[3] % 2 ? input[3] * 64U : 0);
            break;
        case ShareOperation::get_attributes:
        case ShareOperation::set_attributes:
            words.resize(22);
            break;
        case ShareOperation::read_link:
            words = {input[3], 1, 2, 3};
            break;
        case ShareOperation::space:
            words.resize(20);
            break;
        case ShareOperation::lookup:
        case ShareOperation::make_file:
        case ShareOperation::make_folder:
        case ShareOperation::make_link:
        case ShareOperation::link:
            put_node(!fails);
            break;
        default:
            break;
        }
        if (input[5] == 255)
            words.resize(input[6]);
        device.completed(id, fails ? 2 : 0, words);
    }

    struct Request {
        ShareOperation operation;
        std::vector<GuestRegion> memory;
        bool flags;
    };
    std::map<std::uint32_t, Request> requests;
    std::map<std::uint64_t, std::uint64_t> references;
    std::set<std::uint64_t> handles;
};

/// The input is a list of requests of 8 bytes, each with arguments of up to 128 bytes behind it, between which the
/// share answers and the driver resets the device.
void drive(std::span<const std::uint8_t> input) {
    constexpr std::uint16_t queue_size = 16;
    constexpr GuestAddress request_place = 0x2000;
    constexpr GuestAddress answer_place = 0x3000;
    native::PlainMemory memory(memory_size);
    Events events;
    ShareSink share;
    virtio::FsDevice device(0, {.tag = "share", .flushes = true}, share);
    auto page = memory.region(memory_size - AUKLET_VIRTIO_PAGE, AUKLET_VIRTIO_PAGE);
    virtio::Transport transport(memory, *page, 0, device, events);
    auto put = [&](std::size_t address, auto value) { std::memcpy(memory.data() + address, &value, sizeof value); };
    auto set_status = [&](std::uint32_t status) {
        page->store32(offsetof(abi::VirtioPage, status), status);
        page->store32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        transport.service();
    };
    std::uint16_t available[2] = {};
    constexpr std::array<std::uint8_t, 8> good_answer{};
    auto start = [&] {
        set_status(0);
        while (!share.requests.empty())
            share.answer(device, good_answer);
        std::memset(memory.data(), 0, 0x2000);
        auto registers = page->read_structure<abi::VirtioPage>(0);
        registers.driver_features[0] = 1U << 28;
        registers.driver_features[1] = 1;
        for (std::uint32_t queue = 0; queue < 2; ++queue) {
            registers.queue[queue].size = queue_size;
            registers.queue[queue].ready = 1;
            registers.queue[queue].descriptors = queue * 0x1000;
            registers.queue[queue].available = queue * 0x1000 + 0x400;
            registers.queue[queue].used = queue * 0x1000 + 0x800;
            available[queue] = 0;
        }
        page->write_structure(0, registers);
        set_status(15);
    };
    auto offer = [&](std::uint32_t queue, std::uint32_t opcode, std::uint64_t node,
                     std::span<const std::uint8_t> arguments, std::uint32_t room) {
        const auto length = static_cast<std::uint32_t>(40 + arguments.size());
        std::memset(memory.data() + request_place, 0, 40);
        put(request_place, length);
        put(request_place + 4, opcode);
        put(request_place + 16, node);
        std::ranges::copy(std::as_bytes(arguments), memory.data() + request_place + 40);
        const std::size_t base = queue * 0x1000;
        const std::uint16_t head = available[queue] * 2 % queue_size;
        put(base + head * 16U, std::uint64_t{request_place});
        put(base + head * 16U + 8, length);
        put(base + head * 16U + 12, std::uint16_t{room != 0});
        put(base + head * 16U + 14, static_cast<std::uint16_t>(head + 1));
        put(base + head * 16U + 16, std::uint64_t{answer_place});
        put(base + head * 16U + 24, room);
        put(base + head * 16U + 28, std::uint16_t{2});
        put(base + 0x400 + 4 + 2U * (available[queue] % queue_size), head);
        put(base + 0x400 + 2, ++available[queue]);
        page->store32(offsetof(abi::VirtioPage, kick), 1U << queue);
        transport.service();
    };
    start();
    constexpr std::array<std::uint8_t, 16> init{7, 0, 0, 0, 41};
    offer(1, 26, 0, init, 0x1000);
    while (input.size() >= 8) {
        const auto bytes = input.first(8);
        input = input.subspan(8);
        if (bytes[0] % 4 == 3) {
            share.answer(device, bytes);
            continue;
        }
        if (bytes[0] == 254) {
            start();
            offer(1, 26, 0, init, 0x1000);
            continue;
        }
        const auto arguments = input.first(std::min<std::size_t>(bytes[3] % 129, input.size()));
        input = input.subspan(arguments.size());
        const std::uint32_t opcode = bytes[1] % 48;
        const bool unanswered = opcode == 2 || opcode == 42;
        offer(bytes[0] % 4 == 2 ? 0 : 1, opcode, bytes[2] % 6, arguments,
              unanswered          ? 0
              : bytes[4] % 8 == 0 ? bytes[5] * 4U
                                  : 0x1000U);
    }
    set_status(0);
    while (!share.requests.empty())
        share.answer(device, good_answer);
    // The reset is over when all is answered.
    require(page->load32(offsetof(abi::VirtioPage, status_result)) == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    drive({data, size});
    return 0;
}
