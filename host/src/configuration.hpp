// SPDX-License-Identifier: MIT
// The configuration of a machine: the options that its owner chooses.
#pragma once

#include "error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace auklet {

struct Configuration {
#define OPTION(member, name, value, ...) std::uint32_t member = value;
#define TYPED_OPTION OPTION
#define SETTING OPTION
#include "options.inc"

    /// The owner's part of the kernel command line, which ends with it.
    std::string kernel_arguments;

    /// Reads lines "name=value". A name is one of options.inc, or
    /// kernelArguments. Fails at the first value that is wrong, with a message
    /// for the owner.
    [[nodiscard]] static Result<Configuration> parse(std::string_view text);

    /// The whole kernel command line.
    [[nodiscard]] std::string command_line() const;

    /// The sizes of K and of the largest user memory, in pages of 64 KiB.
    [[nodiscard]] std::uint32_t kernel_pages() const { return memory_mebibytes * 16; }
    [[nodiscard]] std::uint32_t process_pages() const { return process_memory_mebibytes * 16; }
};

} // namespace auklet
