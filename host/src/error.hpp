// SPDX-License-Identifier: MIT
// How functions of the host fail: they return an Error, and a user can act on
// its message.
#pragma once

#include <concepts>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace auklet {

struct Error {
    std::string message;
};

template <typename T> using Result = std::expected<T, Error>;

namespace detail {
// There are hundreds of calls, and none is in a hurry: they are not to be
// inlined, and not for each type again.
[[gnu::noinline]] inline void append(std::string& text, std::string_view part) { text += part; }
[[gnu::noinline]] inline void append_number(std::string& text, long long part) { text += std::to_string(part); }
[[gnu::noinline]] inline void append_number(std::string& text, unsigned long long part) {
    text += std::to_string(part);
}
inline void append(std::string& text, std::signed_integral auto part) {
    append_number(text, static_cast<long long>(part));
}
inline void append(std::string& text, std::unsigned_integral auto part) {
    append_number(text, static_cast<unsigned long long>(part));
}
} // namespace detail

/// Joins words and numbers. std::format would double the size of the wasm
/// module.
template <typename... Parts> [[nodiscard]] std::string text_of(const Parts&... parts) {
    std::string text;
    (detail::append(text, parts), ...);
    return text;
}

template <typename... Parts> [[nodiscard]] std::unexpected<Error> failure(const Parts&... parts) {
    return std::unexpected(Error{text_of(parts...)});
}

} // namespace auklet
