// SPDX-License-Identifier: MIT
// A block device with its driver and a disk that does a request when it is told to.
#pragma once

#include "fake_driver.hpp"
#include "src/virtio/block.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <string>
#include <vector>

namespace auklet::test {

inline constexpr std::uint32_t type_in = 0;
inline constexpr std::uint32_t type_out = 1;
inline constexpr std::uint32_t type_flush = 4;
inline constexpr std::uint32_t type_get_id = 8;
inline constexpr std::uint32_t type_discard = 11;
inline constexpr std::uint32_t type_write_zeroes = 13;
inline constexpr char status_ok = 0;
inline constexpr char status_error = 1;
inline constexpr char status_unsupported = 2;
inline constexpr char untouched = '\x55';
inline constexpr std::uint64_t disk_size = 1 << 20;

struct BlockHeader {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
struct BlockRange {
    std::uint64_t sector;
    std::uint32_t sectors;
    std::uint32_t flags;
};

/// A disk in memory that does a request when it is told to.
struct SlowDisk final : DiskBackend {
    struct Taken {
        DiskRequest request;
        std::vector<GuestRegion> memory;
    };

    void submit(DiskId, const DiskRequest& request) override {
        taken.push_back({request, {request.memory.begin(), request.memory.end()}});
    }

    /// Does the oldest request; returns its number.
    std::uint32_t do_one() {
        REQUIRE_FALSE(taken.empty());
        auto [request, memory] = taken.front();
        taken.pop_front();
        auto place = request.offset;
        for (const auto& region : memory) {
            auto part = std::span(content).subspan(place, region.length());
            if (request.operation == DiskOperation::read)
                region.write(0, std::as_bytes(part));
            else
                region.read(0, std::as_writable_bytes(part));
            place += region.length();
        }
        if (request.operation == DiskOperation::zero || request.operation == DiskOperation::discard)
            std::ranges::fill(std::span(content).subspan(request.offset, request.length), '\0');
        return request.id;
    }

    std::string content = std::string(disk_size, '.');
    std::deque<Taken> taken;
};

struct BlockFixture {
    explicit BlockFixture(bool read_only = false, bool discards = true)
        : device(0, {.name = "home", .size = disk_size, .read_only = read_only, .discards = discards, .unit = 65536},
                 disk) {}

    void start(std::uint64_t features = feature_indirect) {
        queue = &driver.set_queue(0, 256);
        REQUIRE(driver.start(features) == 15);
    }

    static constexpr GuestAddress header = FakeDriver::buffers;
    static constexpr GuestAddress status = FakeDriver::buffers + 64;
    static constexpr GuestAddress data = FakeDriver::buffers + 4096;

    /// Offers header, `length` bytes of data and a status byte, as descriptors from `head` on.
    void offer(BlockHeader values, std::uint32_t length, bool device_writes, std::uint16_t head = 0) {
        const GuestAddress shift = head * 16384U;
        queue->put(header + shift, values);
        queue->put(status + shift, untouched);
        queue->descriptor(head, {header + shift, sizeof(BlockHeader), flag_next, static_cast<std::uint16_t>(head + 1)});
        auto next = static_cast<std::uint16_t>(head + 1);
        if (length != 0) {
            const std::uint16_t flags = flag_next | (device_writes ? flag_write : 0);
            queue->descriptor(next, {data + shift, length, flags, static_cast<std::uint16_t>(next + 1)});
            ++next;
        }
        queue->descriptor(next, {status + shift, 1, flag_write, 0});
        queue->offer(head);
        driver.kick(0);
    }
    void complete() { device.completed(disk.do_one(), true); }
    char status_of(std::uint16_t head = 0) { return driver.get(status + head * 16384U, 1)[0]; }

    /// The status of a request that is answered at once.
    char refused(BlockHeader values, std::uint32_t length, bool device_writes) {
        offer(values, length, device_writes);
        CHECK(disk.taken.empty());
        CHECK(queue->used_index() == 1);
        return status_of();
    }

    SlowDisk disk;
    virtio::BlockDevice device;
    FakeDriver driver{device};
    FakeQueue* queue = nullptr;
};

/// A field of the configuration, as the driver reads it.
template <typename T> T configured(BlockFixture& f, std::uint64_t offset) {
    return f.driver.page.part(AUKLET_VIRTIO_CONFIG, 60).read_structure<T>(offset);
}

} // namespace auklet::test
