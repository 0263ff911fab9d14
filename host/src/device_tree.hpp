// SPDX-License-Identifier: MIT
// The flattened device tree, which describes the machine to the kernel
// (docs/abi-engine.md).
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
    /// 64 bytes (docs/abi-engine.md). The kernel credits them as entropy.
    std::span<const std::byte> random_seed;

    /// Returns the blob. Device n has interrupt line n. Fails if the blob needs
    /// more than Layout::device_tree_size bytes.
    [[nodiscard]] Result<std::vector<std::byte>> build(const Layout& layout) const;
};

} // namespace auklet
