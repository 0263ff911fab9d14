// SPDX-License-Identifier: MIT
// Writes the device tree with libfdt's sequential interface.

#include "device_tree.hpp"

#include "abi.hpp"

#include <libfdt.h>

namespace auklet {

namespace {

/// The interrupt controller's phandle. Any value but 0 and ~0 would do.
constexpr std::uint32_t controller_handle = 1;

std::string hexadecimal(std::uint64_t value) {
    std::string digits;
    do {
        digits.insert(digits.begin(), "0123456789abcdef"[value & 15]);
        value >>= 4;
    } while (value != 0);
    return digits;
}

/// Writes nodes and properties in the order of the calls. libfdt's functions
/// return 0 or a negative error. finish() returns the first error, so build()
/// checks no other call.
class TreeWriter {
  public:
    explicit TreeWriter(std::span<std::byte> blob) : blob_(blob) {
        keep(fdt_create(blob_.data(), static_cast<int>(blob_.size())));
        keep(fdt_finish_reservemap(blob_.data()));
    }

    void begin(const std::string& name) { keep(fdt_begin_node(blob_.data(), name.c_str())); }
    void end() { keep(fdt_end_node(blob_.data())); }
    void empty(const char* name) { keep(fdt_property(blob_.data(), name, nullptr, 0)); }
    void text(const char* name, const std::string& value) {
        keep(fdt_property(blob_.data(), name, value.c_str(), static_cast<int>(value.size() + 1)));
    }
    void bytes(const char* name, std::span<const std::byte> value) {
        keep(fdt_property(blob_.data(), name, value.data(), static_cast<int>(value.size())));
    }
    void cell(const char* name, std::uint64_t value) {
        keep(fdt_property_u32(blob_.data(), name, static_cast<std::uint32_t>(value)));
    }
    void cells(const char* name, std::uint64_t first, std::uint64_t second) {
        fdt32_t value[] = {cpu_to_fdt32(static_cast<std::uint32_t>(first)),
                           cpu_to_fdt32(static_cast<std::uint32_t>(second))};
        keep(fdt_property(blob_.data(), name, value, sizeof value));
    }

    Result<std::size_t> finish() {
        keep(fdt_finish(blob_.data()));
        if (error_ != 0)
            return failure("device tree: ", fdt_strerror(error_));
        return fdt_totalsize(blob_.data());
    }

  private:
    void keep(int error) {
        if (error_ == 0)
            error_ = error;
    }

    std::span<std::byte> blob_;
    int error_ = 0;
};

} // namespace

Result<std::vector<std::byte>> DeviceTree::build(const Layout& layout) const {
    std::vector<std::byte> blob(Layout::device_tree_size);
    TreeWriter tree(blob);

    tree.begin("");
    tree.cell("#address-cells", 1);
    tree.cell("#size-cells", 1);
    tree.text("compatible", "auklet,machine");
    tree.text("model", "Auklet");
    tree.cell("interrupt-parent", controller_handle);

    tree.begin("chosen");
    tree.text("bootargs", command_line);
    if (layout.initramfs_end != layout.initramfs_start) {
        tree.cell("linux,initrd-start", layout.initramfs_start);
        tree.cell("linux,initrd-end", layout.initramfs_end);
    }
    tree.bytes("rng-seed", random_seed);
    tree.end();

    tree.begin("memory@0");
    tree.text("device_type", "memory");
    tree.cells("reg", 0, layout.control_base);
    tree.end();

    tree.begin("cpus");
    tree.cell("#address-cells", 1);
    tree.cell("#size-cells", 0);
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        tree.begin(text_of("cpu@", cpu));
        tree.text("device_type", "cpu");
        tree.text("compatible", "auklet,cpu");
        tree.cell("reg", cpu);
        tree.end();
    }
    tree.end();

    tree.begin("interrupt-controller");
    tree.text("compatible", "auklet,interrupt-controller");
    tree.empty("interrupt-controller");
    tree.cell("#interrupt-cells", 1);
    tree.cell("phandle", controller_handle);
    tree.end();

    tree.begin("devices");
    tree.text("compatible", "simple-bus");
    tree.empty("ranges");
    tree.cell("#address-cells", 1);
    tree.cell("#size-cells", 1);
    for (std::uint32_t device = 0; device < devices; ++device) {
        tree.begin("virtio@" + hexadecimal(layout.control_page(device)));
        tree.text("compatible", "auklet,virtio");
        tree.cells("reg", layout.control_page(device), AUKLET_VIRTIO_PAGE);
        tree.cell("interrupts", device);
        tree.end();
    }
    tree.end();
    tree.end();

    auto size = tree.finish();
    if (!size)
        return std::unexpected(size.error());
    blob.resize(*size);
    return blob;
}

} // namespace auklet
