// SPDX-License-Identifier: MIT
// The device tree, read back with libfdt's other half.

#include "src/device_tree.hpp"

#include <catch2/catch_test_macros.hpp>
#include <libfdt.h>

#include <array>
#include <string>

using namespace auklet;

namespace {

std::uint32_t cell(const void* blob, int node, const char* name, int index = 0) {
    int length = 0;
    auto* value = static_cast<const fdt32_t*>(fdt_getprop(blob, node, name, &length));
    REQUIRE(value != nullptr);
    REQUIRE(length >= (index + 1) * 4);
    return fdt32_to_cpu(value[index]);
}

std::string text(const void* blob, int node, const char* name) {
    int length = 0;
    auto* value = static_cast<const char*>(fdt_getprop(blob, node, name, &length));
    REQUIRE(value != nullptr);
    return {value, static_cast<std::size_t>(length - 1)};
}

} // namespace

TEST_CASE("the device tree is as docs/abi-engine.md says") {
    std::array<std::byte, 64> seed;
    seed.fill(std::byte{7});
    auto layout = *Layout::compute(64 << 20, 2, 5000);
    auto blob =
        DeviceTree{.command_line = "console=hvc0 quiet", .cpus = 3, .devices = 2, .random_seed = seed}.build(layout);
    REQUIRE(blob);
    const void* tree = blob->data();
    REQUIRE(fdt_check_header(tree) == 0);
    CHECK(fdt_totalsize(tree) == blob->size());
    CHECK(blob->size() <= Layout::device_tree_size);

    CHECK(text(tree, 0, "compatible") == "auklet,machine");
    CHECK(cell(tree, 0, "#address-cells") == 1);
    CHECK(cell(tree, 0, "#size-cells") == 1);
    int controller = fdt_path_offset(tree, "/interrupt-controller");
    REQUIRE(controller > 0);
    CHECK(cell(tree, 0, "interrupt-parent") == fdt_get_phandle(tree, controller));
    CHECK(cell(tree, controller, "#interrupt-cells") == 1);
    CHECK(fdt_getprop(tree, controller, "interrupt-controller", nullptr) != nullptr);

    int chosen = fdt_path_offset(tree, "/chosen");
    REQUIRE(chosen > 0);
    CHECK(text(tree, chosen, "bootargs") == "console=hvc0 quiet");
    CHECK(cell(tree, chosen, "linux,initrd-start") == layout.initramfs_start);
    CHECK(cell(tree, chosen, "linux,initrd-end") == layout.initramfs_end);
    int length = 0;
    auto* random = static_cast<const std::byte*>(fdt_getprop(tree, chosen, "rng-seed", &length));
    REQUIRE(length == 64);
    CHECK(random[63] == std::byte{7});

    int memory = fdt_path_offset(tree, "/memory@0");
    REQUIRE(memory > 0);
    CHECK(text(tree, memory, "device_type") == "memory");
    CHECK(cell(tree, memory, "reg", 0) == 0);
    CHECK(cell(tree, memory, "reg", 1) == layout.control_base);

    for (std::uint32_t number = 0; number < 3; ++number) {
        int cpu = fdt_path_offset(tree, text_of("/cpus/cpu@", number).c_str());
        REQUIRE(cpu > 0);
        CHECK(text(tree, cpu, "device_type") == "cpu");
        CHECK(cell(tree, cpu, "reg") == number);
    }
    CHECK(fdt_path_offset(tree, "/cpus/cpu@3") < 0);

    CHECK(fdt_path_offset(tree, "/devices/virtio@3ffe000") > 0);
    int device = fdt_path_offset(tree, "/devices/virtio@3fff000");
    REQUIRE(device > 0);
    CHECK(text(tree, device, "compatible") == "auklet,virtio");
    CHECK(cell(tree, device, "reg", 0) == layout.control_page(1));
    CHECK(cell(tree, device, "reg", 1) == 4096);
    CHECK(cell(tree, device, "interrupts") == 1);
}

TEST_CASE("the largest tree fits its room") {
    std::array<std::byte, 64> seed{};
    auto layout = *Layout::compute(512 << 20, 24, 0);
    auto blob =
        DeviceTree{.command_line = std::string(2047, 'a'), .cpus = 8, .devices = 24, .random_seed = seed}.build(layout);
    REQUIRE(blob);
    CHECK(fdt_getprop(blob->data(), fdt_path_offset(blob->data(), "/chosen"), "linux,initrd-start", nullptr) ==
          nullptr);
}

TEST_CASE("a tree that does not fit is an error") {
    auto blob =
        DeviceTree{.command_line = std::string(20000, 'a'), .cpus = 1, .devices = 0, .random_seed = {}}.build({});
    REQUIRE_FALSE(blob);
    CHECK(blob.error().message == "device tree: FDT_ERR_NOSPACE");
}
