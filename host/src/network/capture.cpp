// SPDX-License-Identifier: MIT
// Captures: the file format of libpcap, pcap-savefile(5).

#include "capture.hpp"

#include "offload.hpp"

#include <algorithm>

namespace auklet::network {

namespace {

/// The magic number tells a reader the order of bytes, which is the host's.
struct FileHeader {
    std::uint32_t magic = 0xa1b2'c3d4; ///< times have microseconds
    std::uint16_t major = 2;
    std::uint16_t minor = 4;
    std::uint32_t reserved[2] = {};
    std::uint32_t longest = 262'144; ///< what tcpdump has without -s
    std::uint32_t link_type = 1;     ///< LINKTYPE_ETHERNET, without FCS
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
    std::uint32_t seconds;
    std::uint32_t microseconds;
    std::uint32_t captured;
    std::uint32_t length;
};
static_assert(sizeof(RecordHeader) == 16);

} // namespace

Capture::Capture(Clock& clock, CaptureSink& sink)
    : clock_(clock), sink_(sink), origin_((clock.wall_time() - clock.now()) * 1000) {
    begun_ = begin();
}

bool Capture::begin() {
    const FileHeader header;
    return sink_.captured(std::as_bytes(std::span(&header, 1)));
}

void Capture::record(const Frame& frame) {
    // Without the header of the file, records are nothing.
    if (!begun_ && !(begun_ = begin()))
        return;
    const auto time = static_cast<std::uint64_t>(std::max(0.0, origin_ + clock_.now() * 1000));
    const auto length = static_cast<std::uint32_t>(frame.bytes.size());
    const RecordHeader header{static_cast<std::uint32_t>(time / 1'000'000),
                              static_cast<std::uint32_t>(time % 1'000'000), length, length};
    const auto head = std::as_bytes(std::span(&header, 1));
    record_.assign(head.begin(), head.end());
    record_.insert(record_.end(), frame.bytes.begin(), frame.bytes.end());
    if ((frame.offload.flags & needs_checksum) != 0)
        complete_checksum(std::span(record_).subspan(sizeof header), frame.offload);
    (void)sink_.captured(record_);
}

} // namespace auklet::network
