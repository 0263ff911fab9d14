// SPDX-License-Identifier: MIT
// Parses and checks a machine's configuration.

#include "configuration.hpp"

#include "abi.hpp"

#include <uapi/asm/setup.h>

#include <algorithm>
#include <charconv>

namespace auklet {

namespace {

struct Number {
    std::uint32_t Configuration::* value;
    std::string_view name;
    std::uint32_t least;
    std::uint32_t most;
    std::string_view unit;
};

constexpr Number numbers[] = {
#define OPTION(member, name, value, least, most, unit, ...) {&Configuration::member, name, least, most, unit},
#define TYPED_OPTION OPTION
#define SETTING(member, name, value, least, most) OPTION(member, name, value, least, most, "")
#include "options.inc"
};

/// Bytes without the end mark. The kernel silently cuts a longer line.
constexpr std::size_t longest_command_line = COMMAND_LINE_SIZE - 1;

/// web/src/machine/options.ts words its errors in the same way.
Result<std::uint32_t> parse_number(const Number& number, std::string_view text) {
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < number.least || value > number.most)
        return failure(number.name, " must be a whole number from ", number.least, " to ", number.most, number.unit,
                       ", not ", text.empty() ? "empty" : text);
    return value;
}

Result<void> check_text(std::string_view name, std::string_view text) {
    for (unsigned char character : text)
        if (character < 0x20 || character == 0x7f)
            return failure(name, " may not contain control characters");
    return {};
}

Result<void> parse_line(Configuration& configuration, std::string_view line) {
    auto separator = line.find('=');
    if (separator == std::string_view::npos)
        return failure("configuration: \"", line, "\" is not of the form name=value");
    auto name = line.substr(0, separator);
    auto value = line.substr(separator + 1);

    for (const auto& number : numbers)
        if (number.name == name) {
            auto parsed = parse_number(number, value);
            if (!parsed)
                return std::unexpected(parsed.error());
            configuration.*number.value = *parsed;
            return {};
        }
    if (name == "kernelArguments") {
        configuration.kernel_arguments = value;
        return check_text(name, value);
    }
    return failure("configuration: \"", name, "\" is unknown");
}

} // namespace

Result<Configuration> Configuration::parse(std::string_view text) {
    Configuration configuration;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.empty())
            continue;
        if (auto parsed = parse_line(configuration, line); !parsed)
            return std::unexpected(parsed.error());
    }
    if (configuration.initial_workers > configuration.worker_limit)
        return failure("initialWorkers must be at most workerLimit, which is ", configuration.worker_limit, ", not ",
                       configuration.initial_workers);
    if (configuration.initial_memories > configuration.memory_limit)
        return failure("initialMemories must be at most memoryLimit, which is ", configuration.memory_limit, ", not ",
                       configuration.initial_memories);
    if (auto length = configuration.command_line().size(); length > longest_command_line)
        return failure("kernelArguments: the command line has ", length, " bytes, the kernel takes ",
                       longest_command_line);
    return configuration;
}

std::string Configuration::command_line() const {
    auto names = [&](std::string_view word) {
        return kernel_arguments.starts_with(word) || kernel_arguments.contains(text_of(" ", word));
    };
    // The last console= of the line becomes /dev/console. So an owner who names
    // one gets no other. TERM describes the terminal of hvc0, and is left out
    // too.
    if (names("console="))
        return kernel_arguments;
    // The kernel passes NAME=VALUE to init as a variable if it does not know
    // NAME. Without TERM=, the kernel calls the terminal "linux". Then init
    // calls it "vt102", if the console is no screen of a PC.
    std::string line = names("TERM=") ? "console=hvc0" : "console=hvc0 TERM=xterm-256color";
    return kernel_arguments.empty() ? line : text_of(line, " ", kernel_arguments);
}

} // namespace auklet
