// SPDX-License-Identifier: MIT
// A check of a fuzzer: it ends the run, and tells which one has failed.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

inline void require(bool condition, std::source_location place = std::source_location::current()) {
    if (condition)
        return;
    std::fprintf(stderr, "%s:%u: not so\n", place.file_name(), static_cast<unsigned>(place.line()));
    std::abort();
}
