// SPDX-License-Identifier: MIT
// What a block device needs from outside: a disk that answers in its own time.
#pragma once

#include "../guest_memory.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace auklet {

/// A number of the machine's disks, from 0 on.
using DiskId = std::uint32_t;

/// What the guest is told of a disk.
struct DiskDescription {
    std::string name;       ///< at most 20 bytes; the guest's /sys/block/DISK/serial
    std::uint64_t size = 0; ///< bytes, a multiple of 512
    bool read_only = false;
    bool discards = false; ///< whether discard() gives room back
    /// Bytes that are best read and written at a time: a power of two of 4096
    /// at least, or 0.
    std::uint32_t unit = 0;
};

enum class DiskOperation : std::uint8_t { read, write, flush, zero, discard };

struct DiskRequest {
    DiskOperation operation = DiskOperation::flush;
    std::uint32_t id = 0; ///< for BlockDevice::completed(), which is called once for each request
    /// Bytes; within the disk, and multiples of 512. A flush has none.
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    /// The places in K of a read or write, `length` bytes together. The disk
    /// may use them until it answers.
    std::span<const GuestRegion> memory = {};
    /// The answer means that the request is on the medium, as after a flush.
    bool durable = false;
};

/// Requests of one disk take effect in the order of their submission. A flush
/// is answered when all that was answered before is on the medium.
class DiskBackend {
  public:
    virtual ~DiskBackend() = default;
    /// The answer comes later, from the host's event loop, never within this
    /// call.
    virtual void submit(DiskId disk, const DiskRequest& request) = 0;
};

} // namespace auklet
