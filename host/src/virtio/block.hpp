// SPDX-License-Identifier: MIT
// virtio-blk: a disk (virtio 1.2, section 5.2).
#pragma once

#include "../backends/disks.hpp"
#include "device.hpp"
#include "transport.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace auklet::virtio {

/// 5.2.6: the last byte of a request.
enum class BlockStatus : std::uint8_t { ok = 0, io_error = 1, unsupported = 2 };

class BlockDevice final : public Device {
  public:
    /// `description` was checked by Machine::add_disk.
    BlockDevice(DiskId disk, DiskDescription description, DiskBackend& backend);

    [[nodiscard]] std::string_view name() const override { return name_; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::uint64_t features() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override;
    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    Result<void> process(std::uint32_t queue) override;

    /// The backend has done request `id`, or has failed.
    void completed(std::uint32_t id, bool succeeded);

    /// The disk has so many bytes now, a multiple of 512, and tells its driver.
    /// A disk never becomes smaller.
    void grow(std::uint64_t size);

    [[nodiscard]] const DiskDescription& description() const { return description_; }

  private:
    /// A request that the backend works on. It owns its chain, whose memory the
    /// backend may write to.
    struct Pending {
        Completion completion;
        GuestRegion status; ///< one byte
        std::uint32_t written;
    };

    [[nodiscard]] Result<void> take(Virtqueue& queue, DescriptorChain& chain);
    /// A read or write of `data`, whose places become `regions`.
    [[nodiscard]] std::expected<DiskRequest, BlockStatus> transfer(DiskOperation operation, std::uint64_t sector,
                                                                   BufferCursor& data,
                                                                   std::vector<GuestRegion>& regions) const;
    /// A discard, or a write of zeros.
    [[nodiscard]] std::expected<DiskRequest, BlockStatus> clear(DiskOperation operation, Reader& data) const;
    [[nodiscard]] bool holds(std::uint64_t sector, std::uint64_t sectors) const;

    DiskId disk_;
    DiskDescription description_;
    std::string name_;
    DiskBackend& backend_;
    Transport* transport_ = nullptr;
    bool flushes_ = false; ///< the driver knows that it has to
    /// The index is the request's id.
    std::vector<std::optional<Pending>> pending_;
};

} // namespace auklet::virtio
