// SPDX-License-Identifier: MIT
// virtio-blk: requests are checked here, and done by the disk's backend.

#include "block.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace auklet::virtio {

namespace {

constexpr std::uint32_t device_type = 2; // 5.2.1
// 5.2.2: requestq. Linux takes two descriptors more than data has segments.
constexpr std::uint16_t queues[] = {256};
constexpr std::uint32_t most_segments = 254;

// 5.2.3
constexpr std::uint64_t feature_segments = 1U << 2;
constexpr std::uint64_t feature_read_only = 1U << 5;
constexpr std::uint64_t feature_block_size = 1U << 6;
constexpr std::uint64_t feature_flush = 1U << 9;
constexpr std::uint64_t feature_topology = 1U << 10;
constexpr std::uint64_t feature_discard = 1U << 13;
constexpr std::uint64_t feature_write_zeroes = 1U << 14;

constexpr std::uint64_t sector_size = 512;
/// Of what every backend stores data on.
constexpr std::uint32_t physical_block = 4096;
/// A request to clear more than this comes in parts, so that others get their
/// turn: 64 MiB.
constexpr std::uint32_t most_cleared_sectors = 131072;

// 5.2.4
struct Configuration {
    std::uint64_t capacity = 0; ///< sectors
    std::uint32_t size_max = 0;
    std::uint32_t seg_max = most_segments;
    std::uint8_t geometry[4] = {};
    std::uint32_t blk_size = sector_size;
    std::uint8_t physical_block_exp = std::countr_zero(physical_block / sector_size);
    std::uint8_t alignment_offset = 0;
    std::uint16_t min_io_size = physical_block / sector_size; ///< logical blocks
    std::uint32_t opt_io_size = 0;                            ///< logical blocks
    std::uint8_t writeback = 0;
    std::uint8_t unused0 = 0;
    std::uint16_t num_queues = 0;
    std::uint32_t max_discard_sectors = most_cleared_sectors;
    std::uint32_t max_discard_seg = 1;
    std::uint32_t discard_sector_alignment = 0;
    std::uint32_t max_write_zeroes_sectors = most_cleared_sectors;
    std::uint32_t max_write_zeroes_seg = 1;
    std::uint8_t write_zeroes_may_unmap = 1;
    std::uint8_t unused1[3] = {};
};
static_assert(sizeof(Configuration) == 64);
/// The last four bytes are the padding of C++.
constexpr std::size_t configuration_size = 60;

// 5.2.6
struct Header {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
struct Range {
    std::uint64_t sector;
    std::uint32_t sectors;
    std::uint32_t flags;
};
constexpr std::uint32_t range_may_unmap = 1;
constexpr std::uint32_t type_in = 0;
constexpr std::uint32_t type_out = 1;
constexpr std::uint32_t type_flush = 4;
constexpr std::uint32_t type_get_id = 8;
constexpr std::uint32_t type_discard = 11;
constexpr std::uint32_t type_write_zeroes = 13;
constexpr std::size_t id_size = 20;

void write_status(const GuestRegion& place, BlockStatus status) {
    place.write(0, std::as_bytes(std::span(&status, 1)));
}

/// Neighbouring pages become one region: a backend pays for each.
std::vector<GuestRegion> joined_regions(BufferCursor& data) {
    std::vector<GuestRegion> result;
    for (const auto& region : data.take_regions())
        if (result.empty() || !result.back().join(region))
            result.push_back(region);
    return result;
}

} // namespace

BlockDevice::BlockDevice(DiskId disk, DiskDescription description, DiskBackend& backend)
    : disk_(disk), description_(std::move(description)), name_(text_of("disk ", description_.name)), backend_(backend),
      pending_(queues[0]) {}

std::uint32_t BlockDevice::type() const { return device_type; }

std::uint64_t BlockDevice::features() const {
    auto features = feature_segments | feature_block_size | feature_flush | feature_topology;
    if (description_.read_only)
        return features | feature_read_only;
    return features | feature_write_zeroes | (description_.discards ? feature_discard : 0);
}

std::span<const std::uint16_t> BlockDevice::queue_sizes() const { return queues; }

std::vector<std::byte> BlockDevice::configuration() const {
    const Configuration configuration{.capacity = description_.size / sector_size,
                                      .opt_io_size = description_.unit / std::uint32_t{sector_size},
                                      .discard_sector_alignment = physical_block / std::uint32_t{sector_size}};
    auto bytes = std::as_bytes(std::span(&configuration, 1)).first(configuration_size);
    return {bytes.begin(), bytes.end()};
}

void BlockDevice::activate(Transport& transport, std::uint64_t features) {
    transport_ = &transport;
    flushes_ = (features & feature_flush) != 0;
}

/// The backend works in the memory of the requests that it has. So it answers
/// each, and the reset is over then.
void BlockDevice::reset() {}

Result<void> BlockDevice::process(std::uint32_t index) {
    auto& queue = *transport_->queue(index);
    return take_chains(queue, [&](DescriptorChain& chain) { return take(queue, chain); });
}

Result<void> BlockDevice::take(Virtqueue& queue, DescriptorChain& chain) {
    const auto header = chain.reader.read_structure<Header>();
    if (!header)
        return failure("a request without a header");
    const auto writable = chain.writer.remaining();
    if (writable == 0)
        return failure("a request without a byte for its status");
    auto data = chain.writer.split(writable - 1);
    const auto status = chain.writer.take_regions().front();
    // All of it counts as written, also where the disk has failed: the status
    // is its last byte.
    const auto written = static_cast<std::uint32_t>(writable);
    const auto answer = [&](BlockStatus value) -> Result<void> {
        write_status(status, value);
        queue.push(chain.head, written);
        return {};
    };

    std::vector<GuestRegion> regions;
    std::expected<DiskRequest, BlockStatus> request = std::unexpected(BlockStatus::unsupported);
    switch (header->type) {
    case type_in:
        request = transfer(DiskOperation::read, header->sector, data, regions);
        break;
    case type_out:
        request = transfer(DiskOperation::write, header->sector, chain.reader, regions);
        break;
    case type_flush:
        request = DiskRequest{.operation = DiskOperation::flush};
        break;
    case type_discard:
        if (description_.discards)
            request = clear(DiskOperation::discard, chain.reader);
        break;
    case type_write_zeroes:
        request = clear(DiskOperation::zero, chain.reader);
        break;
    case type_get_id: {
        std::array<char, id_size> id{};
        description_.name.copy(id.data(), id.size());
        data.write(std::as_bytes(std::span(id)));
        return answer(BlockStatus::ok);
    }
    }
    if (!request)
        return answer(request.error());

    // The driver may offer a chain again that it has not got back.
    const auto free = std::ranges::find_if(pending_, [](const auto& entry) { return !entry; });
    if (free == pending_.end())
        return failure("more requests at a time than the queue has descriptors");
    *free = Pending{transport_->defer(0, chain), status, written};
    request->id = static_cast<std::uint32_t>(free - pending_.begin());
    // 5.2.6.2: what such a driver has written is stable when it is answered.
    request->durable = !flushes_ && request->operation != DiskOperation::read;
    backend_.submit(disk_, *request);
    return {};
}

std::expected<DiskRequest, BlockStatus> BlockDevice::transfer(DiskOperation operation, std::uint64_t sector,
                                                              BufferCursor& data,
                                                              std::vector<GuestRegion>& regions) const {
    const auto length = data.remaining();
    if (!holds(sector, length / sector_size) || length == 0 || length % sector_size != 0)
        return std::unexpected(BlockStatus::io_error);
    if (operation == DiskOperation::write && description_.read_only)
        return std::unexpected(BlockStatus::io_error);
    regions = joined_regions(data);
    return DiskRequest{.operation = operation, .offset = sector * sector_size, .length = length, .memory = regions};
}

/// 5.2.6.2: one range, for max_discard_seg and max_write_zeroes_seg are 1.
std::expected<DiskRequest, BlockStatus> BlockDevice::clear(DiskOperation operation, Reader& data) const {
    const auto range = data.read_structure<Range>();
    if (!range || data.remaining() != 0 || description_.read_only)
        return std::unexpected(BlockStatus::io_error);
    const std::uint32_t known_flags = operation == DiskOperation::zero ? range_may_unmap : 0;
    if ((range->flags & ~known_flags) != 0)
        return std::unexpected(BlockStatus::unsupported);
    if (range->sectors == 0 || range->sectors > most_cleared_sectors || !holds(range->sector, range->sectors))
        return std::unexpected(BlockStatus::io_error);
    return DiskRequest{
        .operation = operation, .offset = range->sector * sector_size, .length = range->sectors * sector_size};
}

/// Whether these sectors are on the disk. No sum here can wrap.
bool BlockDevice::holds(std::uint64_t sector, std::uint64_t sectors) const {
    const auto capacity = description_.size / sector_size;
    return sectors <= capacity && sector <= capacity - sectors;
}

void BlockDevice::completed(std::uint32_t id, bool succeeded) {
    if (id >= pending_.size() || !pending_[id])
        return;
    const auto request = *std::exchange(pending_[id], std::nullopt);
    // Before the chain is given back, or a reset ends: the memory is the
    // driver's from then on.
    write_status(request.status, succeeded ? BlockStatus::ok : BlockStatus::io_error);
    transport_->complete(request.completion, request.written);
}

/// 5.2.4: the capacity may change while the driver is at work.
void BlockDevice::grow(std::uint64_t size) {
    if (size <= description_.size || size % sector_size != 0)
        return;
    description_.size = size;
    // Transport tells a driver that comes later.
    if (transport_ != nullptr)
        transport_->update_configuration();
}

} // namespace auklet::virtio
