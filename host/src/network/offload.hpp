// SPDX-License-Identifier: MIT
// Offloads: how a frame that asks for them is checked, and how they are done
// for a receiver that does not do them itself.
#pragma once

#include "bytes.hpp"
#include "frame.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace auklet::network {

/// What one side may leave to the other.
struct Offloads {
    bool checksum = false;
    bool tcp4 = false; ///< segmentation
    bool tcp6 = false;

    [[nodiscard]] bool allow(const Offload& offload) const {
        return (checksum || (offload.flags & needs_checksum) == 0) && (tcp4 || offload.gso_type != gso_tcp4) &&
               (tcp6 || offload.gso_type != gso_tcp6);
    }
};

/// Makes a Frame of bytes whose sender is not trusted, and of what it asks for.
/// Returns nothing if that makes no sense, or is not allowed. header_length is
/// computed, because virtio 1.2, 5.1.6.2.2, has it as a hint only.
[[nodiscard]] std::optional<Frame> checked_frame(const Offload& claimed, Bytes bytes, const Offloads& allowed);

/// The length of a frame with `mtu` bytes of IP. Tags of a VLAN come on top.
[[nodiscard]] std::size_t longest_of(Bytes frame, std::size_t mtu);

/// Whether a frame, or each of its segments, has at most `mtu` bytes of IP
/// (virtio 1.2, 5.1.6.2.1).
[[nodiscard]] bool is_within(const Frame& frame, std::size_t mtu);

/// Finishes the checksum of a frame that has needs_checksum.
void complete_checksum(Buffer frame, const Offload& offload);

/// Makes of a frame with offloads those that need none: the segments that it
/// stands for, or the frame itself with its checksum.
class Segmenter {
  public:
    /// The bytes of `frame` stay valid as long as this Segmenter is used.
    explicit Segmenter(const Frame& frame) : frame_(frame) {}

    /// Writes the next frame. Returns false if there is none.
    [[nodiscard]] bool next(std::vector<std::byte>& result);

  private:
    void write_headers(Buffer segment, std::size_t offset, bool last) const;

    Frame frame_;
    std::size_t offset_ = 0; ///< in the payload
    std::uint16_t count_ = 0;
    bool ended_ = false;
};

} // namespace auklet::network
