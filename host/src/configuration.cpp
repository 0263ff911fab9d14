// SPDX-License-Identifier: MIT
// Parsing and checking of a machine's configuration.

#include "configuration.hpp"

#include "abi.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace auklet {

namespace {

struct Number {
    std::string_view name;
    std::uint32_t Configuration::* value;
    std::uint32_t minimum;
    std::uint32_t maximum;
    std::string_view unit;
};

constexpr Number numbers[] = {
    // Addresses from 2^32 - 4096 on are error numbers to the kernel (IS_ERR), so the last MiB stays unused.
    {"memory", &Configuration::memory_mebibytes, 32, 4095, " MiB"},
    {"cpus", &Configuration::cpus, 1, AUKLET_MAX_CPUS, ""},
    {"worker-limit", &Configuration::worker_limit, 16, AUKLET_MAX_WORKERS, ""},
    {"memory-limit", &Configuration::memory_limit, 1, AUKLET_MAX_MEMORIES, ""},
    {"initial-workers", &Configuration::initial_workers, 0, AUKLET_MAX_WORKERS, ""},
    {"initial-memories", &Configuration::initial_memories, 0, AUKLET_MAX_MEMORIES, ""},
    {"process-memory", &Configuration::process_memory_mebibytes, 1, 4096, " MiB"},
    {"sockets", &Configuration::sockets, 0, 1, ""},
    {"processors", &Configuration::processors, 0, std::numeric_limits<std::uint32_t>::max(), ""},
};

/// A terminal of no columns or rows makes programs divide by zero.
struct Dimension {
    std::string_view name;
    std::uint16_t Configuration::* value;
};

constexpr Dimension dimensions[] = {{"columns", &Configuration::columns}, {"rows", &Configuration::rows}};

/// COMMAND_LINE_SIZE of the kernel, without the end mark. The kernel would cut a longer line without a word.
constexpr std::size_t longest_command_line = 2047;

Result<std::uint32_t> parse_number(std::string_view name, std::string_view text, std::uint32_t minimum,
                                   std::uint32_t maximum, std::string_view unit) {
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::invalid_argument || end != text.data() + text.size())
        return failure(name, ": \"", text, "\" is not a whole number");
    if (error != std::errc() || value < minimum || value > maximum)
        return failure(name, ": ", text, " is not between ", minimum, " and ", maximum, unit);
    return value;
}

Result<void> check_text(std::string_view name, std::string_view text) {
    for (unsigned char character : text)
        if (character < 0x20 || character == 0x7f)
            return failure(name, ": control characters are not allowed");
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
            auto parsed = parse_number(name, value, number.minimum, number.maximum, number.unit);
            if (!parsed)
                return std::unexpected(parsed.error());
            configuration.*number.value = *parsed;
            return {};
        }
    for (const auto& dimension : dimensions)
        if (dimension.name == name) {
            auto parsed = parse_number(name, value, 1, std::numeric_limits<std::uint16_t>::max(), "");
            if (!parsed)
                return std::unexpected(parsed.error());
            configuration.*dimension.value = static_cast<std::uint16_t>(*parsed);
            return {};
        }
    if (name == "kernel-arguments") {
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
        return failure("initial-workers: ", configuration.initial_workers, " is more than worker-limit, ",
                       configuration.worker_limit);
    if (configuration.initial_memories > configuration.memory_limit)
        return failure("initial-memories: ", configuration.initial_memories, " is more than memory-limit, ",
                       configuration.memory_limit);
    if (auto length = configuration.command_line().size(); length > longest_command_line)
        return failure("kernel-arguments: the command line has ", length, " bytes, the kernel takes ",
                       longest_command_line);
    return configuration;
}

std::string Configuration::command_line() const {
    auto names = [&](std::string_view word) {
        return kernel_arguments.starts_with(word) || kernel_arguments.contains(text_of(" ", word));
    };
    // The last console= is the one that /dev/console means: an owner who names one wants no other.
    if (names("console="))
        return kernel_arguments;
    // A word that the kernel does not know is a variable of init. Without this one, the kernel calls the terminal
    // "linux", and init makes "vt102" of that where there is no screen of a PC.
    std::string line = names("TERM=") ? "console=hvc0" : "console=hvc0 TERM=xterm-256color";
    return kernel_arguments.empty() ? line : text_of(line, " ", kernel_arguments);
}

} // namespace auklet
