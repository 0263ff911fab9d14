// SPDX-License-Identifier: MIT
// Makes a request to a share of what a driver wrote, if it is one. Nothing that
// the driver says is believed.
#pragma once

#include "../backends/shares.hpp"
#include "fuse_session.hpp"
#include "virtqueue.hpp"

#include <expected>

namespace auklet::virtio {

/// Bytes of a file in one request: 256 pages.
inline constexpr std::uint32_t most_transferred = 1 << 20;
/// Bytes that a listing may take in one request, and in a share's answer. Linux
/// asks for a page at a time.
inline constexpr std::uint32_t most_listed = 4096;

/// Reads the arguments of a request that is answered. `arguments` is behind the
/// header, and afterwards at the data of a write. A release needs no room, and
/// cannot fail: `close` with a handle that is not open is EBADF for Linux, too.
[[nodiscard]] std::expected<ShareRequest, FileError> parse_request(const fuse::InHeader& header, Reader& arguments,
                                                                   const FuseSession& session,
                                                                   const ShareDescription& share);

} // namespace auklet::virtio
