// SPDX-License-Identifier: MIT
// Captures: the file of libpcap, read as pcap-savefile(5) has it.

#include "net_driver.hpp"
#include "src/network/capture.hpp"

#include <cmath>
#include <utility>

using namespace auklet;
using namespace auklet::test;

namespace {

class SettableClock final : public Clock {
  public:
    double now() override { return time; }
    double wall_time() override { return wall; }
    void set_timer(double) override {}

    double time = 5000.25;
    double wall = 1'700'000'000'123.5;
};

class File final : public network::CaptureSink {
  public:
    bool captured(network::Bytes bytes) override {
        if (full) {
            ++refused;
            return false;
        }
        content.insert(content.end(), bytes.begin(), bytes.end());
        return true;
    }

    FrameBytes content;
    bool full = false;
    int refused = 0;
};

struct Record {
    double time; ///< microseconds
    FrameBytes bytes;
};

template <typename T> T value_at(const FrameBytes& content, std::size_t place) {
    T value;
    REQUIRE(place + sizeof value <= content.size());
    std::memcpy(&value, content.data() + place, sizeof value);
    return value;
}

std::vector<Record> records_of(const FrameBytes& content) {
    CHECK(value_at<std::uint32_t>(content, 0) == 0xa1b2c3d4);
    CHECK(value_at<std::uint16_t>(content, 4) == 2);
    CHECK(value_at<std::uint16_t>(content, 6) == 4);
    const auto longest = value_at<std::uint32_t>(content, 16);
    CHECK(longest >= network::longest_frame);
    CHECK(value_at<std::uint32_t>(content, 20) == 1);
    std::vector<Record> records;
    std::size_t place = 24;
    while (place != content.size()) {
        const auto seconds = value_at<std::uint32_t>(content, place);
        const auto microseconds = value_at<std::uint32_t>(content, place + 4);
        CHECK(microseconds < 1'000'000);
        const auto length = value_at<std::uint32_t>(content, place + 8);
        CHECK(value_at<std::uint32_t>(content, place + 12) == length);
        CHECK(length <= longest);
        place += 16;
        REQUIRE(place + length <= content.size());
        const auto begin = content.begin() + static_cast<std::ptrdiff_t>(place);
        records.push_back({seconds * 1e6 + microseconds, {begin, begin + length}});
        place += length;
    }
    return records;
}

} // namespace

TEST_CASE("a capture has each frame with its time, also when the wall clock is set") {
    SettableClock clock;
    File file;
    network::Capture capture(clock, file);
    CHECK(records_of(file.content).empty());
    const auto first = ethernet(mac(2), mac(1), 46);
    const auto second = ethernet(mac(1), mac(2), 1500);
    capture.record({{}, first});
    clock.time += 1.5;
    clock.wall -= 3'600'000;
    capture.record({{}, second});
    const auto records = records_of(file.content);
    REQUIRE(records.size() == 2);
    CHECK(records[0].bytes == first);
    CHECK(records[1].bytes == second);
    CHECK(std::abs(records[0].time - 1'700'000'000'123'500) < 2);
    CHECK(std::abs(records[1].time - records[0].time - 1500) < 2);
}

TEST_CASE("a capture has complete checksums, and large frames as they are") {
    SettableClock clock;
    File file;
    network::Capture capture(clock, file);
    const auto four = tcp_frame(mac(2), mac(1), {.payload = 60'001});
    const auto six = tcp_frame(mac(2), mac(1), {.v6 = true, .payload = 100});
    capture.record({four.offload, four.bytes});
    capture.record({six.offload, six.bytes});
    const auto records = records_of(file.content);
    REQUIRE(records.size() == 2);
    CHECK(records[0].bytes.size() == four.bytes.size());
    CHECK(is_complete(records[0].bytes, four, false));
    CHECK(is_complete(records[1].bytes, six, true));
}

TEST_CASE("a capture's sink refuses a frame for which it has no room once") {
    SettableClock clock;
    File file;
    file.full = true;
    network::Capture capture(clock, file);
    // The header of the file.
    CHECK(std::exchange(file.refused, 0) == 1);
    const auto frame = ethernet(mac(2), mac(1));
    capture.record({{}, frame});
    CHECK(file.refused == 1);
    CHECK(file.content.empty());
    file.full = false;
    capture.record({{}, frame});
    file.full = true;
    capture.record({{}, frame});
    CHECK(file.refused == 2);
    CHECK(records_of(file.content).size() == 1);
}

TEST_CASE("a card's capture has what the guest sends and gets, in this order and once") {
    SettableClock clock;
    File file;
    network::Capture capture(clock, file);
    NetFixture f;
    f.start(net_all, 1);
    f.device.set_capture(&capture);
    const auto question = ethernet(mac(2), mac(1), 50);
    const auto answer = ethernet(mac(1), mac(2), 60);
    // The link has no room at first, and the guest none for the second answer.
    f.link.takes = false;
    f.send(question);
    f.link.takes = true;
    f.link.on_send = [&] {
        CHECK(f.deliver(answer));
        CHECK_FALSE(f.deliver(answer));
    };
    f.device.room();
    f.send(ethernet(mac(2), mac(3)));
    auto records = records_of(file.content);
    REQUIRE(records.size() == 2);
    CHECK(records[0].bytes == question);
    CHECK(records[1].bytes == answer);
    f.device.set_capture(nullptr);
    f.link.on_send = nullptr;
    f.send(question);
    CHECK(records_of(file.content).size() == 2);
}
