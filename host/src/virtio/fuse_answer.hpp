// SPDX-License-Identifier: MIT
// Makes the driver's structures of the words that a share answers.
#pragma once

#include "../backends/shares.hpp"
#include "fuse_session.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace auklet::virtio {

/// What follows the header of an answer. `session` gets the nodes and handles
/// in it, or is null if the driver has gone meanwhile. At most `length` bytes
/// are listed or counted. Returns nothing if the words are not as
/// FsDevice::completed() says.
[[nodiscard]] std::optional<std::vector<std::byte>> make_answer(ShareOperation operation, bool with_attributes,
                                                                std::uint32_t length,
                                                                std::span<const std::uint32_t> words,
                                                                FuseSession* session);

} // namespace auklet::virtio
