// SPDX-License-Identifier: MIT
// What a machine is made of, as its owner wants it.
#pragma once

#include "error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace auklet {

struct Configuration {
    std::uint32_t memory_mebibytes = 512;
    std::uint32_t cpus = 2;
    /// Added to the host's own kernel arguments.
    std::string kernel_arguments;
    std::uint32_t worker_limit = 256;
    std::uint32_t memory_limit = 96;
    /// Started before the kernel asks.
    std::uint32_t initial_workers = 24;
    std::uint32_t initial_memories = 8;
    std::uint32_t process_memory_mebibytes = 1024;
    /// Threads that the host can execute at the same time; 0 = not known.
    std::uint32_t processors = 0;
    /// 1: streams between programs and the owner (virtio/socket.hpp).
    std::uint32_t sockets = 1;
    std::uint16_t columns = 80;
    std::uint16_t rows = 24;

    /// Reads lines "name=value"; Every value is checked, the first error reported.
    /// Names: memory, cpus, kernel-arguments, worker-limit, memory-limit, initial-workers, initial-memories,
    /// process-memory, processors, sockets, columns, rows.
    [[nodiscard]] static Result<Configuration> parse(std::string_view text);

    /// The whole kernel command line.
    [[nodiscard]] std::string command_line() const;

    [[nodiscard]] std::uint32_t kernel_pages() const { return memory_mebibytes * 16; }
    [[nodiscard]] std::uint32_t process_pages() const { return process_memory_mebibytes * 16; }
};

} // namespace auklet
