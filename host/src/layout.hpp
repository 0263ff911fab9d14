// SPDX-License-Identifier: MIT
// Where things are in K when the machine starts (docs/abi-engine.md, "Start of
// a machine").
#pragma once

#include "error.hpp"

#include <cstdint>

namespace auklet {

/// Addresses in K.
struct Layout {
    std::uint64_t initramfs_start = 0;
    std::uint64_t initramfs_end = 0;
    std::uint64_t device_tree = 0;
    /// The end of the guest's RAM. The control page of device n is at
    /// control_base + n * 4096.
    std::uint64_t control_base = 0;

    /// Bytes for the device tree. The number is fixed, because the tree
    /// contains addresses that would depend on it.
    static constexpr std::uint64_t device_tree_size = 16384;
    static constexpr std::uint64_t page_size = 4096;
    /// Bytes between the kernel's image and the initramfs. A kernel with fewer
    /// fails before it can print why.
    static constexpr std::uint64_t smallest_free_memory = std::uint64_t{8} << 20;

    /// Fails if `memory_size` bytes are too few. `initramfs_size` is in bytes
    /// too.
    [[nodiscard]] static Result<Layout> compute(std::uint64_t memory_size, std::uint32_t devices,
                                                std::uint64_t initramfs_size);

    /// Fails if a kernel image that ends at `heap_base` leaves too little room.
    [[nodiscard]] Result<void> check_image(std::uint64_t heap_base) const;

    [[nodiscard]] std::uint64_t control_page(std::uint32_t device) const { return control_base + device * page_size; }
};

} // namespace auklet
