// SPDX-License-Identifier: MIT
// Lays out the top of K, from its end downwards.

#include "layout.hpp"

namespace auklet {

namespace {
constexpr std::uint64_t page_floor(std::uint64_t address) { return address & ~(Layout::page_size - 1); }
constexpr std::uint64_t mebibytes(std::uint64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }
} // namespace

Result<Layout> Layout::compute(std::uint64_t memory_size, std::uint32_t devices, std::uint64_t initramfs_size) {
    std::uint64_t needed = devices * page_size + device_tree_size + initramfs_size + page_size + smallest_free_memory;
    if (needed > memory_size)
        return failure("memory: ", mebibytes(memory_size), " MiB are too little for an initial file system of ",
                       mebibytes(initramfs_size), " MiB; give the machine at least ", mebibytes(needed) + 32, " MiB");
    Layout layout;
    layout.control_base = page_floor(memory_size) - devices * page_size;
    layout.device_tree = layout.control_base - device_tree_size;
    layout.initramfs_start = page_floor(layout.device_tree - initramfs_size);
    layout.initramfs_end = layout.initramfs_start + initramfs_size;
    return layout;
}

Result<void> Layout::check_image(std::uint64_t heap_base) const {
    if (heap_base + smallest_free_memory > initramfs_start)
        return failure("memory: the kernel image ends at ", mebibytes(heap_base),
                       " MiB and the initial file system starts at ", mebibytes(initramfs_start),
                       " MiB; give the machine more memory");
    return {};
}

} // namespace auklet
