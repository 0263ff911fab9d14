// SPDX-License-Identifier: MIT
// What the console device needs from outside: somebody who takes its bytes.
#pragma once

#include <cstddef>
#include <span>

namespace auklet {

/// A call must not come back into the machine before it returns.
class ConsoleBackend {
  public:
    virtual ~ConsoleBackend() = default;

    /// Bytes that the guest wrote.
    virtual void console_output(std::span<const std::byte> bytes) = 0;
    /// `count` more bytes of input have gone into the driver's buffers.
    virtual void console_consumed(std::size_t count) = 0;
};

} // namespace auklet
