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
        Configuration::parse("memory=64\ncpus=8\nkernelArguments=quiet loglevel=3 a=b\nworkerLimit=100\n"
                             "memoryLimit=50\ninitialWorkers=10\ninitialMemories=5\nprocessMemory=256\n"
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
    CHECK(Configuration::parse("kernelArguments=console=ttyS0 quiet")->command_line() == "console=ttyS0 quiet");
    CHECK(Configuration::parse("kernelArguments=quiet console=ttyS0")->command_line() == "quiet console=ttyS0");
    CHECK(Configuration::parse("kernelArguments=myconsole=1")->command_line() ==
          "console=hvc0 TERM=xterm-256color myconsole=1");
}

TEST_CASE("the owner's terminal replaces the host's") {
    CHECK(Configuration::parse("kernelArguments=TERM=vt220 quiet")->command_line() == "console=hvc0 TERM=vt220 quiet");
    CHECK(Configuration::parse("kernelArguments=quiet TERM=dumb")->command_line() == "console=hvc0 quiet TERM=dumb");
    CHECK(Configuration::parse("kernelArguments=COLORTERM=truecolor")->command_line() ==
          "console=hvc0 TERM=xterm-256color COLORTERM=truecolor");
}

TEST_CASE("errors name the setting and the range") {
    CHECK(error_of("memory=8") == "memory must be a whole number from 32 to 4095 MiB, not 8");
    CHECK(error_of("memory=4096") == "memory must be a whole number from 32 to 4095 MiB, not 4096");
    CHECK(error_of("memory=99999999999999") == "memory must be a whole number from 32 to 4095 MiB, not 99999999999999");
    CHECK(error_of("memory=1.5") == "memory must be a whole number from 32 to 4095 MiB, not 1.5");
    CHECK(error_of("memory=") == "memory must be a whole number from 32 to 4095 MiB, not empty");
    CHECK(error_of("memory=-64") == "memory must be a whole number from 32 to 4095 MiB, not -64");
    CHECK(error_of("cpus=0") == "cpus must be a whole number from 1 to 8, not 0");
    CHECK(error_of("cpus=9") == "cpus must be a whole number from 1 to 8, not 9");
    CHECK(error_of("rows=0") == "rows must be a whole number from 1 to 65535, not 0");
    CHECK(error_of("columns=65536") == "columns must be a whole number from 1 to 65535, not 65536");
    CHECK(error_of("colour=red") == "configuration: \"colour\" is unknown");
    CHECK(error_of("cpus") == "configuration: \"cpus\" is not of the form name=value");
    CHECK(error_of("sockets=2") == "sockets must be a whole number from 0 to 1, not 2");
    CHECK(error_of("kernelArguments=a\tb") == "kernelArguments may not contain control characters");
    CHECK(error_of("kernelArguments=" + std::string(2100, 'a')) ==
          "kernelArguments: the command line has 2133 bytes, the kernel takes 2047");
    CHECK(error_of("workerLimit=16\ninitialWorkers=17") ==
          "initialWorkers must be at most workerLimit, which is 16, not 17");
    CHECK(error_of("memoryLimit=2\ninitialMemories=3") ==
          "initialMemories must be at most memoryLimit, which is 2, not 3");
}

TEST_CASE("the top of memory is laid out as docs/abi-engine.md says") {
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
