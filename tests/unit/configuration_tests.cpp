// SPDX-License-Identifier: MIT
// Configuration: what is accepted, and that errors say what is wrong.

#include "src/configuration.hpp"
#include "src/layout.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace auklet;

namespace {
std::string error_of(std::string_view text) {
    auto parsed = Configuration::parse(text);
    return parsed ? "no error" : parsed.error().message;
}
} // namespace

TEST_CASE("an empty configuration has the defaults") {
    auto configuration = Configuration::parse("");
    REQUIRE(configuration);
    CHECK(configuration->memory_mebibytes == 512);
    CHECK(configuration->cpus == 2);
    CHECK(configuration->command_line() == "console=hvc0 TERM=xterm-256color");
    CHECK(configuration->kernel_pages() == 512 * 16);
}

TEST_CASE("every setting is read") {
    auto configuration =
        Configuration::parse("memory=64\ncpus=8\nkernel-arguments=quiet loglevel=3 a=b\nworker-limit=100\n"
                             "memory-limit=50\ninitial-workers=10\ninitial-memories=5\nprocess-memory=256\n"
                             "processors=16\nsockets=0\ncolumns=132\nrows=43");
    REQUIRE(configuration);
    CHECK(configuration->memory_mebibytes == 64);
    CHECK(configuration->cpus == 8);
    CHECK(configuration->command_line() == "console=hvc0 TERM=xterm-256color quiet loglevel=3 a=b");
    CHECK(configuration->worker_limit == 100);
    CHECK(configuration->memory_limit == 50);
    CHECK(configuration->initial_workers == 10);
    CHECK(configuration->initial_memories == 5);
    CHECK(configuration->process_pages() == 4096);
    CHECK(configuration->processors == 16);
    CHECK(configuration->sockets == 0);
    CHECK(configuration->columns == 132);
    CHECK(configuration->rows == 43);
}

TEST_CASE("the owner's console replaces the host's") {
    CHECK(Configuration::parse("kernel-arguments=console=ttyS0 quiet")->command_line() == "console=ttyS0 quiet");
    CHECK(Configuration::parse("kernel-arguments=quiet console=ttyS0")->command_line() == "quiet console=ttyS0");
    CHECK(Configuration::parse("kernel-arguments=myconsole=1")->command_line() ==
          "console=hvc0 TERM=xterm-256color myconsole=1");
}

TEST_CASE("the owner's terminal replaces the host's") {
    CHECK(Configuration::parse("kernel-arguments=TERM=vt220 quiet")->command_line() == "console=hvc0 TERM=vt220 quiet");
    CHECK(Configuration::parse("kernel-arguments=quiet TERM=dumb")->command_line() == "console=hvc0 quiet TERM=dumb");
    CHECK(Configuration::parse("kernel-arguments=COLORTERM=truecolor")->command_line() ==
          "console=hvc0 TERM=xterm-256color COLORTERM=truecolor");
}

TEST_CASE("errors name the setting and the range") {
    CHECK(error_of("memory=8") == "memory: 8 is not between 32 and 4095 MiB");
    CHECK(error_of("memory=4096") == "memory: 4096 is not between 32 and 4095 MiB");
    CHECK(error_of("memory=99999999999999") == "memory: 99999999999999 is not between 32 and 4095 MiB");
    CHECK(error_of("memory=1.5") == "memory: \"1.5\" is not a whole number");
    CHECK(error_of("memory=") == "memory: \"\" is not a whole number");
    CHECK(error_of("memory=-64") == "memory: \"-64\" is not a whole number");
    CHECK(error_of("cpus=0") == "cpus: 0 is not between 1 and 8");
    CHECK(error_of("cpus=9") == "cpus: 9 is not between 1 and 8");
    CHECK(error_of("rows=0") == "rows: 0 is not between 1 and 65535");
    CHECK(error_of("columns=65536") == "columns: 65536 is not between 1 and 65535");
    CHECK(error_of("colour=red") == "configuration: \"colour\" is unknown");
    CHECK(error_of("cpus") == "configuration: \"cpus\" is not of the form name=value");
    CHECK(error_of("sockets=2") == "sockets: 2 is not between 0 and 1");
    CHECK(error_of("kernel-arguments=a\tb") == "kernel-arguments: control characters are not allowed");
    CHECK(error_of("kernel-arguments=" + std::string(2100, 'a')) ==
          "kernel-arguments: the command line has 2133 bytes, the kernel takes 2047");
    CHECK(error_of("worker-limit=16\ninitial-workers=17") == "initial-workers: 17 is more than worker-limit, 16");
    CHECK(error_of("memory-limit=2\ninitial-memories=3") == "initial-memories: 3 is more than memory-limit, 2");
}

TEST_CASE("the top of memory is laid out as docs/abi.md says") {
    auto layout = Layout::compute(64 << 20, 3, 100000);
    REQUIRE(layout);
    CHECK(layout->control_base == (64 << 20) - 3 * 4096);
    CHECK(layout->control_page(2) == (64 << 20) - 4096);
    CHECK(layout->device_tree % 4096 == 0);
    CHECK(layout->device_tree + Layout::device_tree_size == layout->control_base);
    CHECK(layout->initramfs_start % 4096 == 0);
    CHECK(layout->initramfs_end - layout->initramfs_start == 100000);
    CHECK(layout->initramfs_end <= layout->device_tree);
    CHECK(layout->check_image(20 << 20));
    auto big_image = layout->check_image(60 << 20);
    REQUIRE_FALSE(big_image);
    CHECK(big_image.error().message.starts_with("memory: the kernel image ends at 60 MiB"));
}

TEST_CASE("an initramfs that does not fit is an error with a number to try") {
    auto layout = Layout::compute(64 << 20, 3, 60 << 20);
    REQUIRE_FALSE(layout);
    CHECK(layout.error().message ==
          "memory: 64 MiB are too little for an initial file system of 60 MiB; give the machine at least 101 MiB");
}
