// SPDX-License-Identifier: MIT
// TCP: windows, limits, large segments, connections to a guest, a link without room.

#include "network_script.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a far side that does not take closes the guest's window") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        flow 3000
        writable 3000
        > P 0:1460 ack 0
        = sent 1460
        < . 0 ack 1460 win 1540
        > P 1460:1460 ack 0
        < . 0 ack 2920 win 80
        > P 2920:200 ack 0
        = sent 1460, sent 80
        < . 0 ack 3000 win 0
        > P 3000:1 ack 0
        < . 0 ack 3000 win 0
        > . 2999 ack 0
        < . 0 ack 3000 win 0
        =
        writable 100
        < . 0 ack 3000 win 100
        writable 1000
        < . 0 ack 3000 win 1000
        writable 2000
        < . 0 ack 3000 win 2000
        writable 2100
        < nothing
        writable 5000
        < . 0 ack 3000 win 5000
        > P 3000:120 ack 0
        = sent 120
        < . 0 ack 3120 win 4880)");
    CHECK(std::ranges::equal(f.flows.received, ScriptFixture::stretch(0, 3120)));
}

TEST_CASE("the end needs no room, and more than the window is cut") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        flow 0
        writable 0
        > F 0 ack 0
        = finish
        < . 0 ack 1 win 0)");
    ScriptFixture g;
    g.open();
    g.run(R"(
        flow 100
        writable 100
        > F 0:200 ack 0
        = sent 100
        < . 0 ack 100 win 0)");
}

TEST_CASE("room that comes before the connection is open is told") {
    ScriptFixture f;
    f.run(R"(
        > S -1 win 65535 mss 1460 scale 0
        opened 0
        < SA -1 ack 0 win 0 scale 5
        writable 65536
        < nothing
        > . 0 ack 0
        < . 0 ack 0 win 2048)");
}

TEST_CASE("a guest that does not take closes the far side's window, and is asked") {
    ScriptFixture f;
    f.open();
    SECTION("it says that it has no room") {
        f.run(R"(
            > . 0 ack 0 win 1000
            data 3000
            < . 0:1000 ack 0
            > . 0 ack 1000 win 0
            = consumed 1000
            wait 401
            < . 999 ack 0
            > . 0 ack 1000 win 0
            wait 801
            < . 999 ack 0
            > . 0 ack 1000 win 0)");
        // for as long as it says so, at most twice a minute,
        for (int count = 0; count < 100; ++count) {
            f.wait(30'001);
            while (!f.link.sent.empty())
                f.run("< . 999 ack 0");
            f.run("> . 0 ack 1000 win 0\n =");
        }
        // and no longer.
        f.wait(400'000);
        CHECK(f.link.sent.size() == 12 + 1);
        CHECK(f.flows.take() == "reset");
    }
    SECTION("it opens") {
        f.run(R"(
            > . 0 ack 0 win 0
            data 3000
            wait 401
            < . -1 ack 0
            > . 0 ack 0 win 10000
            < . 0:1460 ack 0
            < . 1460:1460 ack 0
            < P 2920:80 ack 0)");
    }
    SECTION("it opens late, and what is sent then gets lost") {
        f.run(R"(
            > . 0 ack 0 win 0
            data 3000
            wait 20000
            > . 0 ack 0 win 1000)");
        while (f.link.sent.size() > 1)
            f.next();
        f.run(R"(
            < . 0:1000 ack 0
            wait 401
            < . 0:1000 ack 0)");
    }
    SECTION("a small rest of the window is not used") {
        f.run(R"(
            > . 0 ack 0 win 2000
            data 3000
            < . 0:1460 ack 0
            < nothing
            > . 0 ack 1460 win 2000
            < . 1460:1460 ack 0
            < P 2920:80 ack 0)");
    }
}

TEST_CASE("a guest that shrinks its window hears what was taken from it") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        data 2920
        < . 0:1460 ack 0
        < P 1460:1460 ack 0
        > . 0 ack 0 win 0
        > P 0:10 ack 0 win 0
        < . 0 ack 10
        > P 10:10 ack 0 win 1000
        < . 1000 ack 20
        > P 20:10 ack 1460 win 1460
        < . 2920 ack 30
        > P 30:10 ack 2920 win 0
        < . 2920 ack 40
        finished
        < F 2920 ack 40
        > P 40:10 ack 2920 win 0
        < . 2921 ack 50)");
}

TEST_CASE("what the far side sends is limited, and memory is given back") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        > . 0 ack 0 win 0
        data 2000000 1048576
        data 10 0)");
    f.run("> . 0 ack 0 win 65535");
    // All of it arrives, in segments, though each takes the place of others in the ring.
    std::size_t total = 0, received = 0;
    std::vector<std::byte> bytes;
    while (!f.link.sent.empty()) {
        while (!f.link.sent.empty()) {
            const auto sent = f.next();
            const auto segment = TcpSegment::parse(NetworkFixture::checked(sent).payload);
            REQUIRE(segment);
            bytes.insert(bytes.end(), segment->data.begin(), segment->data.end());
        }
        if (total < 3'000'000)
            total += 1000;
        received = bytes.size();
        f.run(text_of("> . 0 ack ", received));
        if (f.given < 3'000'000)
            f.given += f.translator.data(f.id, ScriptFixture::stretch(f.given, 70'000));
    }
    CHECK(received == f.given);
    CHECK(received > 3'000'000);
    CHECK(std::ranges::equal(bytes, ScriptFixture::stretch(0, received)));
}

TEST_CASE("one connection cannot take all memory") {
    ScriptFixture f;
    std::vector<std::size_t> taken;
    const std::vector<std::byte> bytes(1024 * 1024);
    for (int count = 0; count < 100; ++count) {
        f.guest_port = static_cast<std::uint16_t>(1000 + count);
        f.run("> S -1 win 0 mss 1460\n opened 65536\n < SA -1 ack 0\n > . 0 ack 0 win 0");
        taken.push_back(f.translator.data(f.id, bytes));
    }
    CHECK(taken.front() == 1024 * 1024);
    CHECK(taken.back() == SendBuffer::smallest);
    std::size_t sum = 0;
    for (const auto each : taken)
        sum += each;
    CHECK(sum <= Tcp::shared_memory + 100 * SendBuffer::smallest);
    // What ends gives its memory back.
    f.guest_port = 1000;
    f.run("> R 0");
    f.guest_port = 2000;
    f.run("> S -1 win 0 mss 1460\n opened 65536\n < SA -1 ack 0\n > . 0 ack 0 win 0");
    CHECK(f.translator.data(f.id, bytes) > SendBuffer::smallest);
}

TEST_CASE("connections are limited") {
    ScriptFixture f;
    for (std::size_t count = 0; count < Tcp::most_connections; ++count) {
        f.guest_port = static_cast<std::uint16_t>(1000 + count);
        f.run("> S -1 win 65535");
    }
    CHECK(f.link.sent.empty());
    f.flows.take();
    f.guest_port = 10;
    f.run("> S -1 win 65535\n =");
    const auto sent = f.next();
    CHECK(TcpSegment::parse(NetworkFixture::checked(sent).payload)->flags == (tcp_rst | tcp_ack));
    CHECK_FALSE(f.translator.incoming(5, f.guest, 80, 1000));
    // All of them go with the machine.
    f.translator.removed(guest_mac);
    CHECK(f.translator.incoming(5, f.guest, 80, 1000));
}

TEST_CASE("a guest that has forgotten a connection of which the far side never ends") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        > F 0 ack 0
        = finish
        < . 0 ack 1
        wait 74999
        < nothing
        wait 1
        < . -1 ack 1)");
    SECTION("a program still reads") {
        f.run(R"(
            > . 1 ack 0
            < nothing
            wait 75000
            < . -1 ack 1
            > . 1 ack 0
            data 10
            < P 0:10 ack 1
            > . 1 ack 10
            finished
            < F 10 ack 1
            > . 1 ack 11
            = consumed 10, closed)");
    }
    SECTION("nobody does") { f.run("> R 1\n = reset"); }
    f.run("wait 1000000\n < nothing\n =");
    CHECK(f.translator.counts().connections == 0);
}

TEST_CASE("large segments, if the link takes them") {
    ScriptFixture f(true);
    f.run(R"(
        > S -1 win 65535 mss 1460 scale 7
        opened 1048576
        < SA -1 ack 0 win 65535 scale 5
        > . 0 ack 0 win 8192
        data 100000
        < . 0:64240 ack 0 gso 1460
        < P 64240:35760 ack 0 gso 1460
        > . 0 ack 100000
        data 1460
        < P 100000:1460 ack 0
        > . 0:64000 ack 0
        < . 101460 ack 64000)");
    CHECK(std::ranges::equal(f.flows.received, ScriptFixture::stretch(0, 64000)));
}

TEST_CASE("segments of which a packet holds one") {
    ScriptFixture f;
    Settings settings;
    settings.mtu = 65'520;
    Translator translator(f.flows, f.names, f.timers, f.random, settings);
    translator.attach(f.link);
    const auto give = [&](std::string_view segment) {
        const auto bytes = f.frame(f.guest, f.far, protocol_tcp, from_hex(segment));
        CHECK(translator.deliver({{.flags = data_valid}, bytes}));
    };
    give("0fa0 0050 00000000 00000000 7002 ffff 0000 0000 0204 ffc8 0103 0307");
    translator.opened(f.flows.last, 65'536);
    const auto sent = f.next();
    const auto answer = TcpSegment::parse(NetworkFixture::checked(sent).payload);
    std::vector<std::byte> number(4);
    put32(number, 0, answer->sequence + 1);
    auto third = from_hex("0fa0 0050 00000001 00000000 5010 ffff 0000 0000");
    std::ranges::copy(number, third.begin() + 8);
    const auto bytes = f.frame(f.guest, f.far, protocol_tcp, third);
    CHECK(translator.deliver({{.flags = data_valid}, bytes}));
    CHECK(translator.data(f.flows.last, std::vector<std::byte>(65'480)) == 65'480);
    CHECK(f.next().bytes.size() == ethernet_size + 65'520);
}

TEST_CASE("IPv6, with large segments and without an outside") {
    ScriptFixture f(true);
    f.guest = address("fd00::f");
    f.far = address("2001::1");
    f.run("> S -1 win 65535 mss 1440\n =\n < unreachable 0");
    f.far = address("fd00::2");
    f.run(R"(
        > S -1 win 65535 mss 1440 scale 7
        = open 253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2 80
        failed prohibited
        wait 2
        < unreachable 1
        > S -1 win 65535 mss 1440 scale 7
        opened 1048576
        < SA -1 ack 0 mss 1440 scale 5
        > . 0 ack 0 win 8192
        data 20000
        < P 0:20000 ack 0 gso 1440)");
}

TEST_CASE("options that lie, and addresses that are nobody's") {
    ScriptFixture f;
    SECTION("tiny segments") {
        f.run("> S -1 win 65535 mss 1\n opened 65536\n < SA -1 ack 0\n > . 0 ack 0\n data 1000\n < . 0:536 ack 0");
    }
    SECTION("huge ones, and a shift that is too much") {
        f.run(R"(
            > S -1 win 65535 mss 65535 scale 255
            opened 65536
            < SA -1 ack 0 scale 5
            > . 0 ack 0 win 1
            data 20000
            < . 0:1460 ack 0)");
        CHECK(f.link.sent.size() == 10); // 16,384 bytes, of which the last segment would be small
    }
    SECTION("another machine of the link") {
        f.far = address("10.0.2.77");
        f.run("> S -1 win 65535\n =\n < unreachable 1");
        f.far = address("10.0.2.255");
        f.run("> S -1 win 65535\n =\n < nothing");
    }
    SECTION("SYN with FIN, and from port 0") {
        f.run("> SF -1 win 65535\n =\n < nothing");
        f.guest_port = 0;
        f.run("> S -1 win 65535\n =");
    }
}

TEST_CASE("a link without room holds back, and nothing is lost") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        link 1
        data 3000
        < . 0:1460 ack 0
        < nothing
        > P 0:100 ack 0
        wait 300
        < nothing
        link 100
        < . 1460:1460 ack 100
        < P 2920:80 ack 100
        > . 100 ack 3000
        link 0
        > F 100 ack 3000
        finished
        < nothing
        = sent 100, consumed 3000, finish
        link 10
        < F 3000 ack 101
        > . 101 ack 3001
        = closed)");
    // The last answer, too: a connection is not over before it has gone.
    f.guest_port = 4002;
    f.open();
    f.run(R"(
        finished
        < F 0 ack 0
        link 0
        > F 0 ack 1
        = finish
        link 1
        < . 1 ack 1
        = closed)");
    // SYN-ACK, too
    f.guest_port = 4001;
    f.run(R"(
        link 0
        > S -1 win 65535 mss 1460
        opened 65536
        < nothing
        wait 10000
        link 10
        < SA -1 ack 0)");
}

TEST_CASE("the owner connects to a guest") {
    ScriptFixture f;
    f.far = address("10.0.2.2");
    SECTION("whose address is known") {
        f.run("> R 0\n incoming 8080\n < S -1 mss 1460 scale 5");
        f.run(R"(
            > S -1 win 65535 mss 1460 scale 7 ack 0
            = accepted 7
            < . 0 ack 0 win 2048
            data 100
            < P 0:100 ack 0
            > P 0:50 ack 100
            = consumed 100, sent 50
            < . 100 ack 50
            finished
            < F 100 ack 50
            > F 50 ack 101
            = finish, closed
            < . 101 ack 51)");
    }
    SECTION("that the link has to be asked for") {
        f.run("incoming 8080");
        CHECK(f.next().bytes == from_hex("ffffffffffff 0261756b0002 0806 0001 0800 06 04 0001"
                                         "0261756b0002 0a000202 000000000000 0a00020f"));
        f.run("wait 401\n drop\n < nothing");
        const auto reply =
            from_hex("0261756b0002 02000000000f 0806 0001 0800 06 04 0002 02000000000f 0a00020f 0261756b0002 0a000202");
        CHECK(f.translator.deliver({{}, reply}));
        f.run("< S -1 scale 5\n < nothing");
    }
    SECTION("that refuses") { f.run("> R 0\n incoming 8080\n < S -1 scale 5\n > R 0\n =\n > R 0 ack 0\n = reset"); }
    SECTION("that answers another call") {
        f.run(
            "> R 0\n incoming 8080\n < S -1 scale 5\n > S -1 win 100 ack 500\n < R 500\n =\n > S -1 win 9\n < nothing");
    }
    SECTION("that answers when the link has no room to call again") {
        f.run("> R 0\n incoming 8080\n < S -1 scale 5");
        f.link.room = 0;
        f.run("wait 401\n > S -1 win 65535 mss 1460 ack 0\n = accepted 7\n link 10\n < . 0 ack 0\n < nothing");
    }
    SECTION("that is not there") {
        f.run("incoming 8080\n wait 400000\n = reset");
        CHECK(f.link.sent.size() == 13);
    }
    CHECK_FALSE(f.translator.incoming(7 | first_guest_flow, f.guest, 80, 0));
    CHECK_FALSE(f.translator.incoming(8, address("10.0.3.1"), 80, 0));
    CHECK_FALSE(f.translator.incoming(8, address("10.0.2.2"), 80, 0));
    CHECK_FALSE(f.translator.incoming(8, f.guest, 0, 0));
}

TEST_CASE("numbers that the translator does not know are ignored") {
    ScriptFixture f;
    for (const FlowId id : {0U, 5U, first_guest_flow, first_datagram_flow, ~0U}) {
        f.translator.opened(id, 5);
        f.translator.failed(id, FlowError::refused);
        CHECK(f.translator.data(id, to_bytes("abc")) == 0);
        f.translator.writable(id, 5);
        f.translator.finished(id);
        f.translator.aborted(id);
    }
    CHECK(f.link.sent.empty());
}
