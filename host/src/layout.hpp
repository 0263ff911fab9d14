// SPDX-License-Identifier: MIT
// Where things are in K when the machine starts (docs/abi-engine.md, "Start of a machine").
#pragma once

#include "error.hpp"

#include <cstdint>

namespace auklet {

struct Layout {
    std::uint64_t initramfs_start = 0;
    std::uint64_t initramfs_end = 0;
    std::uint64_t device_tree = 0;
    /// End of the guest's RAM; device n's control page is at control_base + n * 4096.
    std::uint64_t control_base = 0;

    /// The device tree's room is fixed, because its text contains addresses that would depend on its size.
    static constexpr std::uint64_t device_tree_size = 16384;
    static constexpr std::uint64_t page_size = 4096;
    /// A kernel with less than this between its image and the initramfs does not get as far as saying so.
    static constexpr std::uint64_t smallest_free_memory = std::uint64_t{8} << 20;

    [[nodiscard]] static Result<Layout> compute(std::uint64_t memory_size, std::uint32_t devices,
                                                std::uint64_t initramfs_size);

    /// Whether a kernel image that ends at `heap_base` leaves enough room.
    [[nodiscard]] Result<void> check_image(std::uint64_t heap_base) const;

    [[nodiscard]] std::uint64_t control_page(std::uint32_t device) const { return control_base + device * page_size; }
};

} // namespace auklet
