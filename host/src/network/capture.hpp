// SPDX-License-Identifier: MIT
// The frames of a network card as a file of libpcap, which tcpdump and
// Wireshark read.
#pragma once

#include "../platform.hpp"
#include "bytes.hpp"
#include "frame.hpp"

#include <cstdint>
#include <vector>

namespace auklet::network {

/// Gets the bytes of the file, a whole number of records at a time.
class CaptureSink {
  public:
    virtual ~CaptureSink() = default;
    /// False: there is no room, and the bytes were not taken. So one frame more
    /// is not in the file.
    [[nodiscard]] virtual bool captured(Bytes bytes) = 0;
};

/// A frame for segmentation is written as it passed, one large frame, with its
/// checksum completed: as tcpdump shows it in the guest.
class Capture {
  public:
    Capture(Clock& clock, CaptureSink& sink);

    void record(const Frame& frame);

  private:
    [[nodiscard]] bool begin();

    Clock& clock_;
    CaptureSink& sink_;
    /// Microseconds since 1970 when `clock_` was at 0. Later changes of the
    /// wall clock would bring frames out of order.
    double origin_;
    bool begun_ = false;
    std::vector<std::byte> record_;
};

} // namespace auklet::network
