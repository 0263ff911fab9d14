// SPDX-License-Identifier: MIT
// TCP: a guest's connection from its beginning to its end.

#include "network_script.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a connection opens when the far side is there") {
    ScriptFixture f;
    f.run(R"(
        > S -1 win 64240 mss 1460 scale 7
        = open 192.0.2.1 80
        < nothing
        > S -1 win 64240 mss 1460 scale 7
        =
        opened 1048576
        < SA -1 ack 0 win 65535 mss 1460 scale 5
        > . 0 ack 0 win 502
        > P 0:100 ack 0
        = sent 100
        < . 0 ack 100 win 32768
        data 200
        < P 0:200 ack 100
        > . 100 ack 200
        = consumed 200
        < nothing)");
    CHECK(std::ranges::equal(f.flows.received, ScriptFixture::stretch(0, 100)));
}

TEST_CASE("a guest that gives up and begins anew while the far side connects") {
    ScriptFixture f;
    f.run("> S -1 win 65535 mss 1460");
    f.guest_start = 777'777;
    f.run(R"(
        > S -1 win 65535 mss 1000 scale 3
        = open 192.0.2.1 80
        opened 65536
        < SA -1 ack 0 win 65535 scale 5
        > . 0 ack 0
        data 2000
        < . 0:1000 ack 0
        < P 1000:1000 ack 0)");
}

TEST_CASE("a connection that the far side does not take") {
    ScriptFixture f;
    f.run("> S -1 win 65535 mss 1460");
    SECTION("refused") {
        f.run("failed refused");
        const auto sent = f.next();
        const auto segment = TcpSegment::parse(NetworkFixture::checked(sent).payload);
        REQUIRE(segment);
        CHECK(segment->flags == (tcp_rst | tcp_ack));
        CHECK(segment->sequence == 0);
        CHECK(segment->acknowledgement == f.guest_start + 1);
    }
    SECTION("prohibited") { f.run("failed prohibited\n < nothing\n wait 2\n < unreachable 13"); }
    SECTION("unreachable") { f.run("failed unreachable\n < nothing\n wait 2\n < unreachable 1"); }
    SECTION("and the guest gives up before it hears of it") {
        f.run("= open 192.0.2.1 80\n failed unreachable\n > R 0\n =\n wait 2\n < nothing");
    }
    SECTION("and the owner speaks of it again") {
        f.run("= open 192.0.2.1 80\n failed unreachable\n opened 65536\n aborted\n < nothing\n wait 2\n < unreachable "
              "1\n =");
    }
    SECTION("cut off") { f.run("opened 65536\n < SA -1 ack 0\n aborted\n < RA 0 ack 0"); }
    f.flows.take();
    // The number is free, and the ends may connect again.
    f.run(R"(
        > S -1 win 65535 mss 1460
        = open 192.0.2.1 80
        opened 65536
        < SA -1 ack 0)");
}

TEST_CASE("each side ends its direction alone") {
    ScriptFixture f;
    f.open();
    SECTION("the guest first") {
        f.run(R"(
            > F 0:10 ack 0
            = sent 10, finish
            < . 0 ack 11
            data 3000
            < . 0:1460 ack 11
            < . 1460:1460 ack 11
            < P 2920:80 ack 11
            > . 11 ack 3000
            = consumed 3000
            finished
            < F 3000 ack 11
            =
            > . 11 ack 3001
            = closed
            < nothing)");
    }
    SECTION("the far side first") {
        f.run(R"(
            data 10
            finished
            < P 0:10 ack 0
            < F 10 ack 0
            > . 0 ack 11
            = consumed 10
            > P 0:20 ack 11
            = sent 20
            < . 11 ack 20
            > F 20 ack 11
            = finish, closed
            < . 11 ack 21)");
    }
    SECTION("both at once") {
        f.run(R"(
            finished
            < F 0 ack 0
            > F 0 ack 0
            = finish
            < . 1 ack 1
            > . 1 ack 1
            = closed
            < nothing)");
    }
    SECTION("with the last data, that waits for the window") {
        f.run(R"(
            > . 0 ack 0 win 0
            data 100
            finished
            < nothing
            > . 0 ack 0 win 50
            < . 0:50 ack 0
            > . 0 ack 50 win 1000
            = consumed 50
            < FP 50:50 ack 0
            > F 0 ack 101
            = consumed 50, finish, closed
            < . 101 ack 1)");
    }
    // Nothing is left of it.
    f.run("> . 30 ack 5000\n < R 5000");
}

TEST_CASE("a reset ends both directions at once") {
    ScriptFixture f;
    f.open();
    SECTION("the guest's") {
        f.run(R"(
            data 10
            < P 0:10 ack 0
            > R 0
            = reset
            < nothing)");
    }
    SECTION("the far side's") {
        f.run(R"(
            data 10
            < P 0:10 ack 0
            aborted
            < RA 10 ack 0
            =
            > . 0 ack 10
            < R 10)");
    }
    SECTION("not one that somebody guesses (RFC 5961)") {
        f.run(R"(
            > R 100
            < . 0 ack 0
            > R 70000
            < nothing
            > R -1
            < nothing
            > S 100 win 65535
            < . 0 ack 0
            > S -500 win 65535
            < . 0 ack 0
            =
            > R 0
            = reset)");
    }
}

TEST_CASE("an acknowledgement of what was never sent, or long ago, changes nothing") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        data 100
        < P 0:100 ack 0
        > P 0:5 ack 101
        < . 100 ack 0
        =
        > . 0 ack 50
        = consumed 50
        < nothing)");
    f.far_start -= 70'000;
    f.run("> P 0:5 ack 0\n =");
    f.far_start += 70'000;
    f.run(R"(
        < . 100 ack 0
        > P 0:5
        =
        < nothing)"); // without ACK
}

TEST_CASE("what is not acknowledged is sent again, until the guest is gone") {
    ScriptFixture f;
    f.open();
    SECTION("a loss that nobody tells of") {
        f.run(R"(
            data 100
            drop
            wait 399
            < nothing
            wait 2
            < P 0:100 ack 0
            wait 798
            < nothing
            wait 2
            < P 0:100 ack 0
            > . 0 ack 100
            = consumed 100
            wait 100000
            < nothing)");
    }
    SECTION("acknowledged while it is sent again") {
        // ACK of data from before the rewind: `sent` follows.
        f.run(R"(
            data 2920
            drop
            drop
            wait 401
            < . 0:1460 ack 0
            < nothing
            > P 0:10 ack 0
            < . 2920 ack 10
            = sent 10
            > . 10 ack 2920
            = consumed 2920
            data 10
            < P 2920:10 ack 10
            > . 10 ack 2930
            = consumed 10)");
    }
    SECTION("a loss that the guest tells of") {
        f.run(R"(
            data 7300
            drop
            < . 1460:1460 ack 0
            < . 2920:1460 ack 0
            < . 4380:1460 ack 0
            < P 5840:1460 ack 0
            > . 0 ack 0
            < nothing
            > . 0 ack 0
            < . 0:1460 ack 0
            > . 0 ack 0
            > . 0 ack 0
            < nothing
            > . 0 ack 7300
            = consumed 7300
            < nothing
            data 4380
            < . 7300:1460 ack 0
            drop
            < P 10220:1460 ack 0
            > . 0 ack 8760
            > . 0 ack 8760
            > . 0 ack 8760
            < . 8760:1460 ack 0
            > . 0 ack 11680
            = consumed 1460, consumed 2920)");
    }
    SECTION("two gaps: one after the other is filled") {
        f.run(R"(
            data 7300
            drop
            < . 1460:1460 ack 0
            drop
            < . 4380:1460 ack 0
            < P 5840:1460 ack 0
            > . 0 ack 0
            > . 0 ack 0
            < . 0:1460 ack 0
            > . 0 ack 2920
            < . 2920:1460 ack 0
            > . 0 ack 7300
            = consumed 2920, consumed 4380
            data 1460
            < P 7300:1460 ack 0)");
    }
    SECTION("the end") {
        f.run(R"(
            finished
            drop
            wait 401
            < F 0 ack 0
            > F 0 ack 1
            = finish, closed)");
    }
    SECTION("a guest that is gone") {
        f.run("data 100");
        f.wait(400'000);
        CHECK(f.flows.take() == "reset");
        CHECK(f.link.sent.size() == 1 + 12 + 1);
        f.link.sent.erase(f.link.sent.begin(), f.link.sent.end() - 1);
        f.run("< RA 100 ack 0");
    }
}

TEST_CASE("the answer to SYN is sent again, too") {
    ScriptFixture f;
    f.run(R"(
        > S -1 win 65535 mss 1460
        opened 65536
        < SA -1 ack 0
        > S -1 win 65535 mss 1460
        < SA -1 ack 0
        wait 401
        < SA -1 ack 0
        > . 0 ack 5
        < R 5
        > . 0 ack 0
        > P 0:10 ack 0
        = open 192.0.2.1 80, sent 10
        < . 0 ack 10
        wait 100000
        < nothing)");
}

TEST_CASE("a guest that is never heard again after SYN") {
    ScriptFixture f;
    f.run("> S -1 win 65535 mss 1460\n opened 65536\n wait 400000\n = open 192.0.2.1 80, reset");
}

TEST_CASE("idle time is no time in which the guest does not answer") {
    ScriptFixture f;
    f.open();
    // Delayed answers and retransmissions have timers of their own.
    for (int round = 0; round < 40; ++round) {
        f.flows.take();
        f.run(text_of("> . ", round * 1460, ":1460 ack ", round * 10));
        f.run(text_of("< nothing\n wait 41\n < . ", round * 10, " ack ", (round + 1) * 1460));
        f.run(text_of("data 10\n < P ", round * 10, ":10 ack ", (round + 1) * 1460));
        f.run(text_of("> . ", (round + 1) * 1460, " ack ", (round + 1) * 10, "\n wait 3600000\n < nothing"));
    }
    CHECK(f.flows.take() == "sent 1460, consumed 10");
}

TEST_CASE("answers to data: at once, or for each second segment") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        > . 0:1460 ack 0
        < nothing
        > . 1460:1460 ack 0
        < . 0 ack 2920
        > . 2920:1460 ack 0
        data 10
        < P 0:10 ack 4380
        wait 300
        < nothing
        > . 4380:100 ack 0
        < . 10 ack 4480
        > P 4480:1460 ack 0
        < . 10 ack 5940)");
}

TEST_CASE("segments that overlap, come again, or in the wrong order") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        > P 0:100 ack 0
        < . 0 ack 100
        > P 0:100 ack 0
        < . 0 ack 100
        > P 50:100 ack 0
        < . 0 ack 150
        = sent 100, sent 50
        > P 250:50 ack 0
        < . 0 ack 150
        > P 200:80 ack 0
        < . 0 ack 150
        > P 250:50 ack 0
        < . 0 ack 150
        =
        > F 300 ack 0
        < . 0 ack 150
        > P 150:60 ack 0
        = sent 60, sent 70, sent 20, finish
        < . 0 ack 301
        > P 290:50 ack 0
        < . 0 ack 301
        =)");
    CHECK(std::ranges::equal(f.flows.received, ScriptFixture::stretch(0, 300)));
}

TEST_CASE("the acknowledgement of a segment behind a gap counts") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        data 100
        < P 0:100 ack 0
        > P 500:10 ack 100
        = consumed 100
        < . 100 ack 0)");
}

TEST_CASE("what comes behind a gap has a limit") {
    ScriptFixture f;
    f.open();
    // Each costs 128 bytes besides what it has, and 9/8 MiB is the limit: 9144 of them. The last comes first.
    for (int count = 0; count < 9'500; ++count)
        f.run(text_of("> P ", 10'000 - count, ":1 ack 0\n < . 0 ack 0"));
    f.run("> P 0:856 ack 0\n < . 0 ack 856");
    f.run("> P 856:1 ack 0\n < . 0 ack 10001");
    CHECK(std::ranges::equal(f.flows.received, ScriptFixture::stretch(0, 10'001)));
}

TEST_CASE("a probe that keeps the connection alive is answered") {
    ScriptFixture f;
    f.open();
    f.run(R"(
        > . -1 ack 0
        < . 0 ack 0
        > . -1:1 ack 0
        < . 0 ack 0
        =)");
}

TEST_CASE("numbers wrap at 2^32") {
    ScriptFixture f;
    f.guest_start = 0xffff'ff00;
    // The hash of the ends, and the clock in 4 us: so that the far side's wrap, too.
    f.run("> S -1 win 65535 mss 1460\n opened 65536\n < SA -1 ack 0\n > R 0");
    f.flows.take();
    const std::uint32_t rest = 0U - f.far_start - 256;
    f.clock.time += rest / 250;
    f.open();
    CHECK(f.far_start > 0xffff'f000);
    std::string script;
    for (int round = 0; round < 40; ++round)
        script += text_of("> P ", round * 100, ":100 ack ", round * 200, "\n < . ", round * 200, " ack ",
                          (round + 1) * 100, "\n data 200 \n < P ", round * 200, ":200 ack ", (round + 1) * 100,
                          "\n > . ", (round + 1) * 100, " ack ", (round + 1) * 200, "\n");
    f.run(script);
    CHECK(f.flows.received.size() == 4000);
    f.flows.take();
    f.run("finished\n < F 8000 ack 4000\n > F 4000 ack 8001\n = finish, closed");
}

TEST_CASE("numbers of a new connection go on from those of the last, and others have others") {
    const auto start = [](std::uint16_t port, double time) {
        ScriptFixture f;
        f.clock.time = time;
        f.guest_port = port;
        f.run("> S -1 win 65535 mss 1460\n opened 65536\n < SA -1 ack 0");
        return f.far_start;
    };
    CHECK(start(4000, 2000) - start(4000, 1000) == 250'000);
    CHECK(start(4000, 1000) == start(4000, 1000));
    CHECK(start(4001, 1000) - start(4000, 1000) > 1'000'000);
}

TEST_CASE("the keyed hash is SipHash-2-4") {
    struct : Random {
        void random(std::span<std::byte> bytes) override {
            for (std::size_t index = 0; index < bytes.size(); ++index)
                bytes[index] = static_cast<std::byte>(index);
        }
    } counting;
    // The vector of its authors for the 8 bytes from 0 to 7.
    const std::uint64_t words[] = {0x0706'0504'0302'0100};
    CHECK(KeyedHash(counting)(words) == 0x93f5'f579'9a93'2462);
}
