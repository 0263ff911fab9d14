// SPDX-License-Identifier: MIT
// DNS: what a guest asks, and the answer that it gets.

#include "dns.hpp"

namespace auklet::network {

namespace {

constexpr std::size_t header = 12;
constexpr std::uint16_t flag_answer = 0x8000;
constexpr std::uint16_t mask_operation = 0x7800;
constexpr std::uint16_t flag_truncated = 0x0200;
constexpr std::uint16_t flag_recursion_wanted = 0x0100;
constexpr std::uint16_t flag_recursion = 0x0080;
constexpr std::uint8_t format_error = 1, server_failure = 2, no_such_name = 3, not_implemented = 4, refused = 5;
constexpr std::uint16_t type_a = 1;
constexpr std::uint16_t type_aaaa = 28;
constexpr std::uint16_t type_opt = 41;
constexpr std::uint16_t class_internet = 1;
constexpr std::size_t longest_label = 63;
constexpr std::size_t longest_name = 255;
/// RFC 1035, section 4.2.1, and what passes any network whole with EDNS
/// (RFC 9715).
constexpr std::size_t usual_limit = 512;
constexpr std::size_t largest_limit = 1232;

bool is_lookup(std::uint16_t type) { return type == type_a || type == type_aaaa; }

/// Case does not count in names (RFC 4343). The length bytes of labels are
/// below 'A'.
bool same_question(Bytes left, Bytes right) {
    const auto lower = [](std::byte byte) {
        const auto value = std::to_integer<int>(byte);
        return value >= 'A' && value <= 'Z' ? value + 'a' - 'A' : value;
    };
    return std::ranges::equal(left, right, {}, lower, lower);
}

} // namespace

bool Dns::is_for(const Packet& packet, const Datagram& datagram) const {
    return datagram.destination_port == port &&
           (packet.destination == wire_.settings.resolver || packet.destination == wire_.settings.resolver6);
}

std::uint8_t Dns::parse(Bytes message, Question& question) {
    if ((get16(message, 2) & mask_operation) != 0)
        return not_implemented;
    if (get16(message, 4) != 1 || get32(message, 6) != 0)
        return format_error;
    // A name of only such bytes is a name for any resolver, too.
    bool plain = true;
    std::size_t at = header;
    for (;;) {
        if (at >= message.size())
            return format_error;
        const std::size_t length = get8(message, at++);
        if (length == 0)
            break;
        if (length > longest_label || length > message.size() - at || at + length - header >= longest_name)
            return format_error;
        if (!question.name.empty())
            question.name += '.';
        for (const auto byte : message.subspan(at, length)) {
            const auto letter = std::to_integer<char>(byte);
            plain = plain && letter > ' ' && letter < 0x7f && letter != '.';
            question.name += letter;
        }
        at += length;
    }
    if (message.size() - at < 4)
        return format_error;
    question.type = get16(message, at);
    const auto kind = get16(message, at + 2);
    const auto rest = message.subspan(at + 4);
    question.message.assign(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(at + 4));
    // RFC 6891: how long an answer may be
    question.limit = usual_limit;
    if (get16(message, 10) != 0 && rest.size() >= 11 && get8(rest, 0) == 0 && get16(rest, 1) == type_opt)
        question.limit = std::clamp<std::size_t>(get16(rest, 3), usual_limit, largest_limit);
    return kind != class_internet || !plain ? refused : 0;
}

void Dns::take(const Packet& packet, const Datagram& datagram) {
    const auto message = datagram.data;
    if (message.size() < header || (get16(message, 2) & flag_answer) != 0)
        return;
    Question question{answer_to(packet), datagram.source_port};
    question.message.assign(message.begin(), message.begin() + header);
    if (const auto code = parse(message, question); code != 0) {
        // Of a question that could not be read, only the header comes back.
        if (question.message.size() == header)
            put16(question.message, 4, 0);
        return answer(question, code);
    }
    // Each connection to an address that nothing reaches would cost a failure.
    if (is_lookup(question.type) &&
        (question.name.empty() || (question.type == type_aaaa && !wire_.settings.reaches_ipv6)))
        return answer(question, 0);
    for (const auto& [id, other] : questions_)
        if (other.port == question.port && other.route.destination == question.route.destination &&
            other.message == question.message)
            return; // It asks again, and is not forgotten.
    if (questions_.size() >= most_questions)
        return answer(question, server_failure);
    question.end = timers_.now() + time_limit;
    timer_.set_at_latest(time_limit);
    const auto id = next_id_++;
    const auto& kept = questions_.emplace(id, std::move(question)).first->second;
    if (is_lookup(kept.type))
        backend_.resolve(id, kept.name, kept.type == type_aaaa);
    else
        backend_.ask(id, message);
}

void Dns::resolved(QuestionId id, NameError error, std::span<const Address> addresses, std::uint32_t seconds) {
    const auto question = questions_.extract(id);
    if (question.empty())
        return;
    const std::uint8_t code = error == NameError::none      ? 0
                              : error == NameError::unknown ? no_such_name
                                                            : server_failure;
    answer(question.mapped(), code, addresses, seconds);
}

void Dns::answered(QuestionId id, Bytes message) {
    const auto found = questions_.extract(id);
    if (found.empty())
        return;
    const auto& question = found.mapped();
    const auto asked = Bytes(question.message).subspan(header);
    // The far side's answer is not trusted more than the guest's question.
    if (message.size() < header + asked.size() || (get16(message, 2) & flag_answer) == 0 || get16(message, 4) != 1 ||
        !same_question(message.subspan(header, asked.size()), asked))
        return answer(question, server_failure);
    if (message.size() > question.limit)
        return answer(question, 0, {}, 0, true);
    std::vector<std::byte> copy(message.begin(), message.end());
    put16(copy, 0, get16(question.message, 0));
    send(question, copy);
}

void Dns::answer(const Question& question, std::uint8_t code, std::span<const Address> addresses, std::uint32_t seconds,
                 bool truncated) {
    auto message = question.message;
    const std::uint16_t kept = get16(message, 2) & (mask_operation | flag_recursion_wanted);
    put16(message, 2,
          static_cast<std::uint16_t>(flag_answer | flag_recursion | kept | code | (truncated ? flag_truncated : 0)));
    put32(message, 6, 0);
    put16(message, 10, 0);
    std::uint16_t count = 0;
    for (const auto& address : addresses) {
        const auto wire = address.wire();
        const std::size_t at = message.size();
        if (address.is_v4() != (question.type == type_a) || code != 0)
            continue;
        // A part of the addresses is as good as all.
        if (at + header + wire.size() > question.limit)
            break;
        message.resize(at + 12);
        put16(message, at, 0xc000 | header); // the name is the question's
        put16(message, at + 2, question.type);
        put16(message, at + 4, class_internet);
        put32(message, at + 6, seconds);
        put16(message, at + 10, static_cast<std::uint16_t>(wire.size()));
        message.insert(message.end(), wire.begin(), wire.end());
        ++count;
    }
    put16(message, 6, count);
    send(question, message);
}

void Dns::send(const Question& question, Bytes message) {
    send_datagram(wire_, question.route, port, question.port, message);
}

void Dns::expire(void* self) {
    auto& dns = *static_cast<Dns*>(self);
    const double now = dns.timers_.now();
    double next = now + time_limit;
    for (auto each = dns.questions_.begin(); each != dns.questions_.end();) {
        if (each->second.end > now) {
            next = std::min(next, each->second.end);
            ++each;
            continue;
        }
        dns.answer(each->second, server_failure);
        each = dns.questions_.erase(each);
    }
    if (!dns.questions_.empty())
        dns.timer_.set(next - now);
}

} // namespace auklet::network
