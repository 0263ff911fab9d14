// SPDX-License-Identifier: MIT
// What a machine is made of, as its owner wants it.
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

    /// Added to the host's own kernel arguments.
    std::string kernel_arguments;

    /// Reads lines "name=value", with the names of options.inc and kernelArguments. Every value is checked, the first
    /// error reported.
    [[nodiscard]] static Result<Configuration> parse(std::string_view text);

    /// The whole kernel command line.
    [[nodiscard]] std::string command_line() const;

    [[nodiscard]] std::uint32_t kernel_pages() const { return memory_mebibytes * 16; }
    [[nodiscard]] std::uint32_t process_pages() const { return process_memory_mebibytes * 16; }
};

} // namespace auklet
