// SPDX-License-Identifier: MIT
// A small language for segments of TCP. A script is a list of lines:
//
//   > FLAGS SEQ[:LENGTH] [ack N] [win N] [mss N] [scale N] [gso]
//                      the guest sends
//   < FLAGS SEQ[:LENGTH] [ack N] [win N] [mss N] [scale N] [gso N]
//                      the next frame to the guest has these, and all that is named
//   < nothing          there is no frame
//   < unreachable CODE an ICMP error with the type of its IP version
//   = EVENTS           what the backend was asked for since the last such line
//   opened ROOM, failed ERROR, data LENGTH [TAKEN], writable ROOM, finished, aborted, incoming PORT
//                      the far side
//   flow ROOM          from now on the far side has this room, and does not refill it
//   wait MS            the clock goes on
//   link N             the link has room for N frames, and says so
//   drop               the next frame to the guest is lost
//
// FLAGS are letters of SAFRP, or "." for ACK alone as in tcpdump. Numbers count from the first byte after each side's
// SYN, which is 0. The guest's begin at `guest_start`. Bytes have values that follow from their number, so that none
// can be in another's place.
#pragma once

#include "network_fixture.hpp"
#include "src/network/tcp_connection.hpp"

#include <sstream>

namespace auklet::test {

struct ScriptFixture : NetworkFixture {
    Translator translator{flows, names, timers, random, settings};
    Address guest = address("10.0.2.15");
    Address far = address("192.0.2.1");
    std::uint16_t guest_port = 4000;
    std::uint16_t far_port = 80;
    std::uint32_t guest_start = 1000;
    std::uint32_t far_start = 0; ///< as learnt from its SYN
    FlowId id = 0;
    std::size_t given = 0; ///< bytes that the far side has sent

    explicit ScriptFixture(bool large_segments = false) : NetworkFixture(large_segments) { translator.attach(link); }

    static std::byte pattern(std::size_t number) { return static_cast<std::byte>(number * 2654435761U >> 16 ^ number); }
    static std::vector<std::byte> stretch(std::size_t from, std::size_t length) {
        std::vector<std::byte> bytes(length);
        for (std::size_t index = 0; index < length; ++index)
            bytes[index] = pattern(from + index);
        return bytes;
    }

    /// Opens a connection with windows of 64 KiB in both directions.
    void open() {
        run(R"(
            > S -1 win 65535 mss 1460
            = open 192.0.2.1 80
            opened 65536
            < SA -1 ack 0
            > . 0 ack 0 win 65535)");
    }

    void run(std::string_view script) {
        std::istringstream lines{std::string(script)};
        std::string text;
        while (std::getline(lines, text)) {
            std::istringstream line(text);
            std::string word;
            if (!(line >> word))
                continue;
            INFO("line: " << text);
            execute(word, line);
        }
    }

  private:
    static std::size_t number(std::istringstream& line) {
        std::size_t value = 0;
        line >> value;
        REQUIRE_FALSE(line.fail());
        return value;
    }

    void execute(const std::string& word, std::istringstream& line) {
        const std::string rest = line.str().substr(line.str().find(word) + word.size());
        if (word == ">")
            return send(line);
        if (word == "<")
            return expect(line);
        if (word == "=")
            CHECK(flows.take() == (rest.empty() ? "" : rest.substr(1)));
        else if (word == "opened") {
            flows.room = number(line);
            id = flows.last;
            translator.opened(id, flows.room);
        } else if (word == "failed") {
            std::string error;
            line >> error;
            translator.failed(flows.last, error == "refused"       ? FlowError::refused
                                          : error == "unreachable" ? FlowError::unreachable
                                                                   : FlowError::prohibited);
        } else if (word == "incoming") {
            id = 7;
            guest_port = static_cast<std::uint16_t>(number(line));
            flows.room = 65536;
            CHECK(translator.incoming(id, guest, guest_port, flows.room));
        } else if (word == "data") {
            const std::size_t length = number(line);
            std::size_t taken = length;
            line >> taken;
            CHECK(translator.data(id, stretch(given, length)) == taken);
            given += taken;
        } else if (word == "writable") {
            flows.room = number(line);
            translator.writable(id, flows.room);
        } else if (word == "flow") {
            flows.room = number(line);
            flows.refills = false;
        } else if (word == "finished")
            translator.finished(id);
        else if (word == "aborted")
            translator.aborted(id);
        else if (word == "wait")
            wait(static_cast<double>(number(line)));
        else if (word == "link") {
            link.room = number(line);
            translator.room();
        } else if (word == "drop")
            next();
        else
            FAIL("no such line");
    }

    struct Line {
        std::uint8_t flags = 0;
        std::int64_t sequence = 0;
        std::size_t length = 0;
        std::optional<std::int64_t> ack = {};
        std::optional<std::size_t> win = {}, mss = {}, scale = {}, gso = {};
    };
    static Line parse(std::istringstream& line) {
        Line result;
        std::string word;
        line >> word;
        for (const char letter : word)
            result.flags |= letter == 'S'                    ? tcp_syn
                            : letter == 'F'                  ? tcp_fin
                            : letter == 'R'                  ? tcp_rst
                            : letter == 'P'                  ? tcp_psh
                            : letter == 'A' || letter == '.' ? tcp_ack
                                                             : 0;
        line >> word;
        result.sequence = std::stoll(word);
        if (const auto colon = word.find(':'); colon != std::string::npos)
            result.length = std::stoul(word.substr(colon + 1));
        while (line >> word) {
            if (word == "ack")
                result.ack = static_cast<std::int64_t>(number(line));
            else if (word == "win")
                result.win = number(line);
            else if (word == "mss")
                result.mss = number(line);
            else if (word == "scale")
                result.scale = number(line);
            else if (word == "gso")
                result.gso = line.eof() ? 0 : number(line);
            else
                FAIL("no such word: " << word);
        }
        return result;
    }

    void send(std::istringstream& text) {
        const auto line = parse(text);
        std::vector<std::byte> segment(20);
        const auto number = [](std::uint32_t start, std::int64_t count) {
            return start + 1 + static_cast<std::uint32_t>(count);
        };
        put16(segment, 0, guest_port);
        put16(segment, 2, far_port);
        put32(segment, 4, number(guest_start, line.sequence));
        if (line.ack)
            put32(segment, 8, number(far_start, *line.ack));
        put8(segment, 13, line.flags | (line.ack ? tcp_ack : 0));
        put16(segment, 14, static_cast<std::uint16_t>(line.win.value_or(65535)));
        const auto option = [&](std::string_view digits) {
            const auto bytes = from_hex(digits);
            segment.insert(segment.end(), bytes.begin(), bytes.end());
        };
        if (line.mss) {
            option("02040000");
            put16(segment, segment.size() - 2, static_cast<std::uint16_t>(*line.mss));
        }
        if (line.scale) {
            option("01030300");
            put8(segment, segment.size() - 1, static_cast<std::uint8_t>(*line.scale));
        }
        put8(segment, 12, static_cast<std::uint8_t>(segment.size() / 4 << 4));
        const auto data = stretch(static_cast<std::size_t>(line.sequence), line.length);
        segment.insert(segment.end(), data.begin(), data.end());
        const auto bytes = frame(guest, far, protocol_tcp, segment);
        CHECK(translator.deliver({{.flags = data_valid}, bytes}));
    }

    void expect(std::istringstream& text) {
        std::string word;
        const auto start = text.tellg();
        text >> word;
        if (word == "nothing") {
            CHECK(link.sent.empty());
            return;
        }
        const auto sent = next();
        const auto packet = checked(sent);
        if (word == "unreachable") {
            CHECK(get8(packet.payload, 0) == (guest.is_v4() ? 3 : 1));
            CHECK(get8(packet.payload, 1) == number(text));
            // The quote names the connection.
            const auto quote = packet.payload.subspan(8);
            const auto ports = quote.subspan(guest.is_v4() ? 20 : 40);
            CHECK(get16(ports, 0) == guest_port);
            CHECK(get16(ports, 2) == far_port);
            return;
        }
        text.seekg(start);
        const auto line = parse(text);
        CHECK(packet.source == far);
        CHECK(packet.destination == guest);
        const auto segment = TcpSegment::parse(packet.payload);
        REQUIRE(segment);
        if (segment->flags & tcp_syn) {
            far_start = segment->sequence;
            if (id == 7)
                far_port = segment->source_port;
        }
        CHECK(segment->source_port == far_port);
        CHECK(segment->destination_port == guest_port);
        const bool bare_reset = line.flags == tcp_rst;
        CHECK(static_cast<int>(segment->flags) == (line.flags | (line.ack && !bare_reset ? tcp_ack : 0)));
        CHECK(static_cast<std::int32_t>(segment->sequence - far_start - 1) == line.sequence);
        CHECK(segment->data.size() == line.length);
        const auto data = stretch(static_cast<std::size_t>(line.sequence), segment->data.size());
        CHECK(std::ranges::equal(segment->data, data));
        if (line.ack && !bare_reset)
            CHECK(static_cast<std::int32_t>(segment->acknowledgement - guest_start - 1) == *line.ack);
        if (line.win)
            CHECK(segment->window == *line.win);
        std::optional<std::size_t> mss, scale;
        for (std::size_t at = 0; at + 4 <= segment->options.size(); at += 4) {
            if (get16(segment->options, at) == 0x0204)
                mss = get16(segment->options, at + 2);
            if (get16(segment->options, at) == 0x0103)
                scale = get8(segment->options, at + 3);
        }
        if (line.mss)
            CHECK(mss == line.mss);
        if (line.flags & tcp_syn)
            CHECK(scale == line.scale);
        CHECK(sent.offload.gso_size == line.gso.value_or(0));
        if (line.gso) {
            CHECK(sent.offload.gso_type == (guest.is_v4() ? gso_tcp4 : gso_tcp6));
            CHECK(sent.offload.header_length == sent.bytes.size() - line.length);
            CHECK((sent.offload.flags & needs_checksum) != 0);
        } else {
            CHECK(packet.whole.size() <= settings.mtu);
        }
    }
};

} // namespace auklet::test
