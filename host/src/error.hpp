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
inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, std::integral auto part) { text += std::to_string(part); }
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
