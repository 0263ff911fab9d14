// SPDX-License-Identifier: MIT
// The flattened device tree: all that the kernel is told about the machine (docs/abi-engine.md).
#pragma once

#include "error.hpp"
#include "layout.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace auklet {

struct DeviceTree {
    std::string command_line;
    std::uint32_t cpus = 1;
    std::uint32_t devices = 0;
    /// Credited by the kernel as entropy; docs/abi-engine.md says 64 bytes.
    std::span<const std::byte> random_seed;

    /// The blob, at most Layout::device_tree_size bytes. Device n has interrupt line n.
    [[nodiscard]] Result<std::vector<std::byte>> build(const Layout& layout) const;
};

} // namespace auklet
