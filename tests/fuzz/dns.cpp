// SPDX-License-Identifier: MIT
// libFuzzer: questions for names, and the answers of a resolver that says anything. A second reader of questions,
// written from RFC 1035 alone, says for each one what has to become of it.

#include "src/network/dns.hpp"
#include "network_fakes.hpp"

#include <map>

namespace {

using namespace fuzz;

constexpr std::size_t header = 12;
constexpr std::uint16_t answer_bit = 0x8000;

struct Expected {
    enum class Fate { ignored, refused, empty, resolved, asked } fate = Fate::ignored;
    std::uint8_t code = 0;
    std::string name = {};
    std::uint16_t type = 0;
    std::size_t end = header; ///< of the question
    std::size_t limit = 512;  ///< of the answer
};

/// What has to become of a question (RFC 1035, section 4.1; RFC 6891, section 6.1).
Expected expect(Bytes message, bool reaches_ipv6) {
    using enum Expected::Fate;
    const auto at = [&](std::size_t place) { return std::to_integer<unsigned>(message[place]); };
    const auto word = [&](std::size_t place) { return at(place) << 8 | at(place + 1); };
    Expected result;
    if (message.size() < header || at(2) >= 0x80)
        return result;
    result.fate = refused;
    if ((at(2) >> 3 & 15) != 0)
        return result.code = 4, result;
    result.code = 1;
    if (word(4) != 1 || word(6) != 0 || word(8) != 0)
        return result;
    std::size_t place = header;
    bool plain = true;
    for (;;) {
        if (place >= message.size())
            return result;
        const std::size_t length = at(place);
        if (length == 0)
            break;
        if (length >= 64 || place + 1 + length > message.size())
            return result;
        for (std::size_t index = place + 1; index <= place + length; ++index) {
            result.name += static_cast<char>(at(index));
            plain = plain && at(index) > 32 && at(index) < 127 && at(index) != '.';
        }
        result.name += '.';
        place += 1 + length;
        // All labels, their lengths and the root's (RFC 1035, section 2.3.4).
        if (place + 1 - header > 255)
            return result;
    }
    if (!result.name.empty())
        result.name.pop_back();
    if (place + 5 > message.size())
        return result;
    result.end = place + 5;
    result.type = static_cast<std::uint16_t>(word(place + 1));
    if (word(10) != 0 && message.size() - result.end >= 11 && at(result.end) == 0 && word(result.end + 1) == 41)
        result.limit = std::min<std::size_t>(std::max<std::size_t>(word(result.end + 3), 512), 1232);
    if (word(place + 3) != 1 || !plain)
        return result.code = 5, result;
    result.code = 0;
    const bool lookup = result.type == 1 || result.type == 28;
    result.fate = !lookup ? asked : result.name.empty() || (result.type == 28 && !reaches_ipv6) ? empty : resolved;
    return result;
}

class Resolver final : public NameBackend {
  public:
    void resolve(QuestionId id, std::string_view name, bool ipv6) override {
        require(!called);
        called = true;
        last = id;
        resolved.emplace(name);
        version6 = ipv6;
    }
    void ask(QuestionId id, std::span<const std::byte> message) override {
        require(!called);
        called = true;
        last = id;
        asked.assign(message.begin(), message.end());
    }
    void clear() {
        called = false;
        resolved.reset();
        asked.clear();
    }

    bool called = false;
    QuestionId last = 0;
    std::optional<std::string> resolved;
    bool version6 = false;
    std::vector<std::byte> asked;
};

struct Question {
    Expected expected;
    std::vector<std::byte> message;
    std::uint16_t port;
    double end;
};

/// An answer of which the translator has written each byte.
void check_answer(const Sent& sent, const Question& question, std::uint8_t code, std::span<const Address> addresses,
                  std::uint32_t seconds) {
    const auto& [expected, asked, port, end] = question;
    const auto message = sent.datagram.data;
    require(sent.datagram.source_port == 53 && sent.datagram.destination_port == port);
    require(message.size() >= header && message.size() <= expected.limit);
    require(get16(message, 0) == get16(asked, 0));
    const auto flags = get16(message, 2);
    require((flags & answer_bit) != 0 && (flags & 15U) == code && (flags & 0x0200U) == 0);
    // The opcode, and whether recursion is wanted.
    require((flags & 0x7900U) == (get16(asked, 2) & 0x7900U));
    require(get32(message, 8) == 0);
    const bool read = expected.end != header;
    require(get16(message, 4) == (read ? 1 : 0));
    require(std::ranges::equal(message.subspan(header, expected.end - header),
                               Bytes(asked).subspan(header, expected.end - header)));
    std::size_t at = expected.end;
    std::size_t count = 0;
    for (const auto& address : addresses) {
        const auto wire = address.wire();
        if (code != 0 || wire.size() != (expected.type == 1 ? 4U : 16U))
            continue;
        if (at + 12 + wire.size() > expected.limit)
            break;
        require(get16(message, at) == 0xc00c && get16(message, at + 2) == expected.type);
        require(get16(message, at + 4) == 1 && get32(message, at + 6) == seconds);
        require(get16(message, at + 10) == wire.size());
        require(std::ranges::equal(message.subspan(at + 12, wire.size()), wire));
        at += 12 + wire.size();
        ++count;
    }
    require(message.size() == at && get16(message, 6) == count);
}

/// An answer of the resolver's own words.
void check_message(const Sent& sent, const Question& question, Bytes given) {
    const auto& [expected, asked, port, end] = question;
    const auto message = sent.datagram.data;
    const auto lower = [](std::byte byte) {
        return byte >= std::byte{'A'} && byte <= std::byte{'Z'} ? byte | std::byte{32} : byte;
    };
    const bool good = given.size() >= expected.end && get8(given, 2) >= 0x80 && get16(given, 4) == 1 &&
                      std::ranges::equal(given.subspan(header, expected.end - header),
                                         Bytes(asked).subspan(header, expected.end - header), {}, lower, lower);
    if (!good)
        return check_answer(sent, question, 2, {}, 0);
    require(get16(message, 0) == get16(asked, 0));
    if (given.size() > expected.limit) {
        require((get16(message, 2) & 0x020fU) == 0x0200 && message.size() == expected.end);
        return;
    }
    require(std::ranges::equal(message.subspan(2), given.subspan(2)));
}

/// Labels of all the lengths that there are, and of one more.
std::vector<std::byte> long_question(Input& input) {
    std::vector<std::byte> message(header);
    put16(message, 4, 1);
    for (int labels = input.byte() % 6; labels > 0; --labels) {
        const auto length = input.byte() % 65U;
        message.push_back(static_cast<std::byte>(length));
        message.insert(message.end(), length, std::byte{'a'});
    }
    const auto rest = input.take(16);
    message.insert(message.end(), rest.begin(), rest.end());
    return message;
}

void drive(Input input) {
    FuzzClock clock;
    TimerQueue timers(clock);
    DatagramLink link;
    NoPort port;
    Settings settings;
    const auto mode = input.byte();
    settings.reaches_ipv6 = (mode & 1) != 0;
    Wire wire(port, settings);
    wire.attach(&link);
    Resolver resolver;
    Dns dns(wire, resolver, timers);
    std::map<QuestionId, Question> open;
    std::vector<std::byte> message;
    while (!input.empty()) {
        const auto step = input.byte();
        if (step % 4 != 3 || open.empty()) {
            // A question: the input, a name with labels of any length, or the last one in which a byte is different.
            if (step % 4 == 0)
                message = copy_of(input.take(input.byte() * 3U));
            else if (step % 4 == 1)
                message = long_question(input);
            else if (!message.empty())
                message[input.byte() % message.size()] = static_cast<std::byte>(input.byte());
            if (step % 8 >= 4 && message.size() >= header) {
                // A good header, so that more of them are looked at.
                put16(message, 2, 0x0100);
                put32(message, 4, 0x0001'0000);
                put16(message, 8, 0);
            }
            const auto exact = message;
            const Packet packet{.sender = guest_mac,
                                .source = settings.first_guest,
                                .destination = settings.resolver,
                                .payload = {},
                                .whole = {}};
            const Datagram datagram{static_cast<std::uint16_t>(5000 + step / 64), Dns::port, exact};
            auto expected = expect(exact, settings.reaches_ipv6);
            Question question{expected, exact, datagram.source_port, clock.time + Dns::time_limit};
            using enum Expected::Fate;
            const auto is_same = [&](const auto& each) {
                const auto& other = each.second;
                return other.port == question.port && other.expected.end == expected.end &&
                       std::ranges::equal(Bytes(other.message).first(expected.end), Bytes(exact).first(expected.end));
            };
            const bool waits = expected.fate == resolved || expected.fate == asked;
            if (waits && std::ranges::any_of(open, is_same))
                expected.fate = ignored;
            resolver.clear();
            link.sent.clear();
            dns.take(packet, datagram);
            if (waits && expected.fate != ignored && open.size() >= Dns::most_questions) {
                require(!resolver.called && link.sent.size() == 1);
                check_answer(link.sent[0], question, 2, {}, 0);
                continue;
            }
            require(resolver.called == (expected.fate == resolved || expected.fate == asked));
            require(link.sent.size() == (expected.fate == refused || expected.fate == empty ? 1 : 0));
            if (!link.sent.empty())
                check_answer(link.sent[0], question, expected.code, {}, 0);
            if (expected.fate == resolved)
                require(resolver.resolved == expected.name && resolver.version6 == (expected.type == 28));
            if (expected.fate == asked)
                require(std::ranges::equal(resolver.asked, exact));
            if (resolver.called)
                require(open.emplace(resolver.last, std::move(question)).second);
        } else if (step % 64 == 3) {
            // Who waits for too long is told so, once.
            link.sent.clear();
            clock.pass(timers, input.byte() * 100.0);
            std::size_t over = 0;
            for (auto each = open.begin(); each != open.end();)
                if (each->second.end <= clock.time) {
                    require(over < link.sent.size());
                    check_answer(link.sent[over++], each->second, 2, {}, 0);
                    each = open.erase(each);
                } else {
                    ++each;
                }
            require(over == link.sent.size());
        } else {
            auto found = open.begin();
            std::advance(found, input.byte() % open.size());
            const auto [id, question] = *found;
            const auto what = input.byte();
            link.sent.clear();
            open.erase(found);
            if (step % 8 < 4) {
                std::vector<Address> addresses;
                for (int count = what % 128; count > 0; --count)
                    addresses.push_back(count % 3 == 0 ? Address::v6(0x2001'0000, input.byte())
                                                       : Address::v4(0xc000'0200U | input.byte()));
                const auto error = static_cast<NameError>(step / 64 % 3);
                constexpr std::uint8_t codes[] = {0, 3, 2};
                dns.resolved(id, error, addresses, what);
                require(link.sent.size() == 1);
                check_answer(link.sent[0], question, codes[step / 64 % 3], addresses, what);
            } else {
                // The question with the bit of an answer, and the input behind it or over it.
                auto given = step % 16 < 8 ? question.message : std::vector<std::byte>{};
                if (given.size() >= header)
                    put8(given, 2, get8(given, 2) | 0x80U);
                if (!given.empty() && what % 4 == 0)
                    given[input.byte() % given.size()] ^= std::byte{32};
                const auto more = input.take(what);
                given.insert(given.end(), more.begin(), more.end());
                if (what % 32 == 5)
                    given.resize(1300);
                const auto exact = given;
                dns.answered(id, exact);
                require(link.sent.size() == 1);
                check_message(link.sent[0], question, exact);
            }
            // A second answer is nobody's.
            dns.resolved(id, NameError::none, {}, 0);
            require(link.sent.size() == 1);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    drive({data, size});
    return 0;
}
