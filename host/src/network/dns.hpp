// SPDX-License-Identifier: MIT
// Questions of guests for names (RFC 1035), which the owner answers.
#pragma once

#include "../backends/names.hpp"
#include "udp.hpp"

#include <map>
#include <string>

namespace auklet::network {

class Dns {
  public:
    Dns(Wire& wire, NameBackend& backend, TimerQueue& timers)
        : wire_(wire), backend_(backend), timers_(timers), timer_(timers, &Dns::expire, this) {}

    static constexpr std::uint16_t port = 53;
    static constexpr std::size_t most_questions = 64;
    static constexpr double time_limit = 10'000; ///< milliseconds

    [[nodiscard]] bool is_for(const Packet& packet, const Datagram& datagram) const;
    void take(const Packet& packet, const Datagram& datagram);
    [[nodiscard]] std::size_t count() const { return questions_.size(); }

    // For the owner: see Translator.
    void resolved(QuestionId id, NameError error, std::span<const Address> addresses, std::uint32_t seconds);
    void answered(QuestionId id, Bytes message);

  private:
    struct Question {
        Route route;
        std::uint16_t port;
        std::uint16_t type = 0;
        std::size_t limit = 0; ///< bytes of the answer
        /// The header, and the question as the guest has written it.
        std::vector<std::byte> message = {};
        std::string name = {};
        double end = 0;
    };
    using Questions = std::map<QuestionId, Question>;

    static void expire(void* self);
    /// Returns a code of an error (RFC 1035, section 4.1.1), or 0.
    [[nodiscard]] static std::uint8_t parse(Bytes message, Question& question);
    void answer(const Question& question, std::uint8_t code, std::span<const Address> addresses = {},
                std::uint32_t seconds = 0, bool truncated = false);
    void send(const Question& question, Bytes message);

    Wire& wire_;
    NameBackend& backend_;
    TimerQueue& timers_;
    Timer timer_;
    Questions questions_;
    QuestionId next_id_ = 0;
};

} // namespace auklet::network
