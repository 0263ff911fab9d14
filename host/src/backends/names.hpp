// SPDX-License-Identifier: MIT
// What the network needs from outside: somebody who knows names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace auklet {

/// The number of a guest's question.
using QuestionId = std::uint32_t;

enum class NameError : std::uint8_t { none, unknown, failed };

/// An answer that does not come in 10 s is not waited for. A call must not come
/// back into the machine before it returns.
class NameBackend {
  public:
    virtual ~NameBackend() = default;

    /// Asks for the addresses of a name, of one version of IP. The name has
    /// labels of printable ASCII, without a dot at its end, and at most 253
    /// bytes. network::Translator::resolved() is the answer.
    virtual void resolve(QuestionId id, std::string_view name, bool ipv6) = 0;
    /// Asks anything else: a message of DNS, with one question.
    /// network::Translator::answered() has the answer's message.
    virtual void ask(QuestionId id, std::span<const std::byte> message) = 0;
};

} // namespace auklet
