// SPDX-License-Identifier: MIT
// Offloads: what a frame may ask for, and what becomes of it.

#include "net_frames.hpp"
#include "src/network/offload.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace auklet;
using namespace auklet::network;
using namespace auklet::test;

namespace {

constexpr Offloads all{.checksum = true, .tcp4 = true, .tcp6 = true};

std::vector<FrameBytes> segments_of(const Frame& frame) {
    std::vector<FrameBytes> result;
    Segmenter segmenter(frame);
    FrameBytes segment;
    while (segmenter.next(segment))
        result.push_back(segment);
    CHECK_FALSE(segmenter.next(segment));
    return result;
}

} // namespace

TEST_CASE("a frame has 14 bytes at least, and no more than a frame can have") {
    CHECK_FALSE(checked_frame({}, FrameBytes(13), all));
    CHECK(checked_frame({}, FrameBytes(14), all));
    CHECK(checked_frame({}, FrameBytes(longest_frame), all));
    CHECK_FALSE(checked_frame({}, FrameBytes(longest_frame + 1), all));
}

TEST_CASE("a checksum is within the frame, and behind its header") {
    const auto bytes = ethernet(mac(1), mac(2), 46);
    const auto check = [&](unsigned start, unsigned offset) {
        return checked_frame({.flags = needs_checksum,
                              .checksum_start = static_cast<std::uint16_t>(start),
                              .checksum_offset = static_cast<std::uint16_t>(offset)},
                             bytes, all)
            .has_value();
    };
    CHECK(check(14, 0));
    CHECK(check(34, 24));
    CHECK_FALSE(check(34, 25));
    CHECK_FALSE(check(13, 0));
    CHECK_FALSE(check(60, 0));
    CHECK_FALSE(check(0xffff, 0xffff));
    CHECK_FALSE(check(14, 0xffff));
}

TEST_CASE("what is not asked for is not passed on") {
    const auto bytes = ethernet(mac(1), mac(2));
    const auto frame = checked_frame({.flags = 0xfe,
                                      .gso_type = gso_none,
                                      .header_length = 9999,
                                      .gso_size = 9999,
                                      .checksum_start = 9999,
                                      .checksum_offset = 9999},
                                     bytes, {});
    REQUIRE(frame);
    const auto& offload = frame->offload;
    CHECK(offload.flags == 0);
    CHECK(offload.header_length + offload.gso_size + offload.checksum_start + offload.checksum_offset == 0);
}

TEST_CASE("an offload that was not accepted is refused") {
    const auto four = tcp_frame(mac(1), mac(2));
    const auto six = tcp_frame(mac(1), mac(2), {.v6 = true});
    CHECK(checked_frame(four.offload, four.bytes, {.checksum = true, .tcp4 = true}));
    CHECK_FALSE(checked_frame(four.offload, four.bytes, {.checksum = true, .tcp6 = true}));
    CHECK_FALSE(checked_frame(four.offload, four.bytes, {.tcp4 = true}));
    CHECK(checked_frame(six.offload, six.bytes, {.checksum = true, .tcp6 = true}));
    CHECK_FALSE(checked_frame(six.offload, six.bytes, {.checksum = true, .tcp4 = true}));
    auto plain = four.offload;
    plain.gso_type = gso_none;
    CHECK_FALSE(checked_frame(plain, four.bytes, {}));
}

TEST_CASE("the length of the headers is computed, whatever the sender says") {
    for (const TcpShape& shape : {TcpShape{}, TcpShape{.vlan = true}, TcpShape{.ip_options = 10, .tcp_options = 10},
                                  TcpShape{.v6 = true}, TcpShape{.v6 = true, .ip_options = 3, .tcp_options = 0}}) {
        auto made = tcp_frame(mac(1), mac(2), shape);
        for (unsigned claimed : {0U, 54U, 0xffffU}) {
            made.offload.header_length = static_cast<std::uint16_t>(claimed);
            const auto frame = checked_frame(made.offload, made.bytes, all);
            REQUIRE(frame);
            CHECK(frame->offload.header_length == made.header);
            CHECK(frame->offload.gso_type == made.offload.gso_type);
        }
    }
}

TEST_CASE("a single segment needs no segmentation") {
    const auto made = tcp_frame(mac(1), mac(2), {.payload = 1448});
    const auto frame = checked_frame(made.offload, made.bytes, all);
    REQUIRE(frame);
    CHECK(frame->offload.gso_type == gso_none);
    CHECK(frame->offload.gso_size == 0);
    CHECK(frame->offload.flags == needs_checksum);
}

TEST_CASE("each lie about segmentation is refused") {
    auto four = tcp_frame(mac(1), mac(2));
    auto six = tcp_frame(mac(1), mac(2), {.v6 = true, .ip_options = 1});
    const auto refused = [](const TcpFrame& frame) { return !checked_frame(frame.offload, frame.bytes, all); };
    REQUIRE_FALSE(refused(four));
    REQUIRE_FALSE(refused(six));
    SECTION("no checksum") {
        four.offload.flags = 0;
        CHECK(refused(four));
    }
    SECTION("types that were not offered") {
        for (unsigned type : {2U, 3U, 5U, 0x81U, 0x84U, 0xffU}) {
            four.offload.gso_type = static_cast<std::uint8_t>(type);
            CHECK(refused(four));
        }
    }
    SECTION("another version") {
        std::swap(four.offload.gso_type, six.offload.gso_type);
        CHECK(refused(four));
        CHECK(refused(six));
    }
    SECTION("another version in the header of IP") {
        four.bytes[four.ip] = std::byte{0x65};
        six.bytes[six.ip] = std::byte{0x45};
        CHECK(refused(four));
        CHECK(refused(six));
    }
    SECTION("segments of nearly nothing") {
        for (unsigned size : {0U, 1U, 7U}) {
            four.offload.gso_size = static_cast<std::uint16_t>(size);
            CHECK(refused(four));
        }
        four.offload.gso_size = 8;
        CHECK_FALSE(refused(four));
    }
    SECTION("a checksum elsewhere") {
        ++four.offload.checksum_start;
        --six.offload.checksum_offset;
        CHECK(refused(four));
        CHECK(refused(six));
    }
    SECTION("another protocol") {
        four.bytes[four.ip + 9] = std::byte{17};
        six.bytes[six.ip + 40] = std::byte{17};
        CHECK(refused(four));
        CHECK(refused(six));
    }
    SECTION("a routing header") {
        six.bytes[six.ip + 6] = std::byte{43};
        CHECK(refused(six));
    }
    SECTION("an extension header that goes past the end") {
        six.bytes[six.ip + 40] = std::byte{60};
        six.bytes[six.ip + 41] = std::byte{0xff};
        six.bytes.resize(six.ip + 300);
        write16(six.bytes, six.ip + 4, 260);
        CHECK(refused(six));
    }
    SECTION("a fragment") {
        write16(four.bytes, four.ip + 6, 0x2000);
        CHECK(refused(four));
        write16(four.bytes, four.ip + 6, 1);
        CHECK(refused(four));
    }
    SECTION("a length that is not the frame's") {
        write16(four.bytes, four.ip + 2, read16(four.bytes, four.ip + 2) - 1);
        write16(six.bytes, six.ip + 4, read16(six.bytes, six.ip + 4) + 1);
        CHECK(refused(four));
        CHECK(refused(six));
    }
    SECTION("a header of IP that is too short, or of TCP") {
        four.bytes[four.ip] = std::byte{0x44};
        CHECK(refused(four));
        six.bytes[six.tcp + 12] = std::byte{0x40};
        CHECK(refused(six));
    }
    SECTION("a header of TCP longer than the frame") {
        six.bytes.resize(six.tcp + 31);
        write16(six.bytes, six.ip + 4, 8 + 31);
        CHECK(refused(six));
    }
    SECTION("headers whose length has more than 16 bits") {
        // 14 + 40 + 8 * 8183 + 20 is 2^16 + 2.
        const auto made =
            tcp_frame(mac(1), mac(2), {.v6 = true, .payload = 11, .gso_size = 8, .ip_options = 8183, .tcp_options = 0});
        CHECK(made.bytes.size() == longest_frame);
        CHECK(refused(made));
    }
    SECTION("frames that end anywhere in their headers") {
        for (auto* frame : {&four, &six})
            while (frame->bytes.size() > 14) {
                frame->bytes.resize(std::min(frame->header, frame->bytes.size()) - 1);
                CHECK(refused(*frame));
            }
    }
}

TEST_CASE("a checksum is completed, and is never 0 in UDP and never 0xffff in TCP") {
    for (std::size_t payload : {0UL, 1UL, 1459UL, 1460UL}) {
        auto made = tcp_frame(mac(1), mac(2), {.payload = payload});
        complete_checksum(made.bytes, made.offload);
        CHECK(is_complete(made.bytes, made, false));
    }
    for (const auto& [offset, expected] : {std::pair<std::uint16_t, unsigned>{6, 0xffff}, {16, 0}}) {
        FrameBytes bytes(34);
        write16(bytes, 14, 0xffff);
        complete_checksum(bytes, {.flags = needs_checksum, .checksum_start = 14, .checksum_offset = offset});
        CHECK(read16(bytes, 14 + offset) == expected);
    }
}

TEST_CASE("a large frame becomes the segments that it stands for") {
    for (const TcpShape& shape :
         {TcpShape{}, TcpShape{.payload = 4344}, TcpShape{.payload = 4345}, TcpShape{.vlan = true, .tcp_options = 0},
          TcpShape{.gso_size = 8}, TcpShape{.payload = 60'000, .ip_options = 10, .tcp_options = 10},
          TcpShape{.v6 = true}, TcpShape{.v6 = true, .gso_size = 1001, .vlan = true, .ip_options = 2}}) {
        const auto made = tcp_frame(mac(1), mac(2), shape);
        const auto frame = checked_frame(made.offload, made.bytes, all);
        REQUIRE(frame);
        const auto segments = segments_of(*frame);
        REQUIRE(segments.size() == (shape.payload + shape.gso_size - 1) / shape.gso_size);
        std::size_t offset = 0;
        for (std::size_t index = 0; index < segments.size(); ++index) {
            const auto& segment = segments[index];
            REQUIRE(is_complete(segment, made, shape.v6));
            const auto payload = std::span(segment).subspan(made.header);
            REQUIRE(payload.size() == std::min<std::size_t>(shape.gso_size, shape.payload - offset));
            REQUIRE(std::ranges::equal(payload, std::span(made.bytes).subspan(made.header + offset, payload.size())));
            REQUIRE(read32(segment, made.tcp + 4) == static_cast<std::uint32_t>(0xffff'ff00 + offset));
            if (!shape.v6)
                REQUIRE(read16(segment, made.ip + 4) == ((0xffff + index) & 0xffff));
            // ACK everywhere, CWR first, FIN and PSH last.
            unsigned flags = 0x10;
            flags |= index == 0 ? 0x80 : 0;
            flags |= index + 1 == segments.size() ? 0x09 : 0;
            REQUIRE(std::to_integer<unsigned>(segment[made.tcp + 13]) == flags);
            // All else is as it was.
            REQUIRE(std::ranges::equal(std::span(segment).first(made.ip), std::span(made.bytes).first(made.ip)));
            REQUIRE(std::ranges::equal(std::span(segment).subspan(made.tcp + 18, made.header - made.tcp - 18),
                                       std::span(made.bytes).subspan(made.tcp + 18, made.header - made.tcp - 18)));
            offset += payload.size();
        }
    }
}

TEST_CASE("a frame without segmentation is itself, with its checksum") {
    const auto made = tcp_frame(mac(1), mac(2), {.payload = 100});
    const auto segments = segments_of(*checked_frame(made.offload, made.bytes, all));
    REQUIRE(segments.size() == 1);
    CHECK(is_complete(segments[0], made, false));
    const auto plain = ethernet(mac(1), mac(2));
    CHECK(segments_of({.offload = {}, .bytes = plain}) == std::vector<FrameBytes>{plain});
}
