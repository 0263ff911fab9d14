// SPDX-License-Identifier: MIT
// A hash that nobody can guess who does not have its key.
#pragma once

#include "../platform.hpp"
#include "bytes.hpp"

#include <bit>

namespace auklet::network {

/// SipHash-2-4 (Aumasson and Bernstein, 2012), of words of 64 bits.
class KeyedHash {
  public:
    explicit KeyedHash(Random& random) { random.random(std::as_writable_bytes(std::span(key_))); }

    [[nodiscard]] std::uint64_t operator()(std::span<const std::uint64_t> words) const {
        std::uint64_t v[4] = {key_[0] ^ 0x736f6d6570736575, key_[1] ^ 0x646f72616e646f6d, key_[0] ^ 0x6c7967656e657261,
                              key_[1] ^ 0x7465646279746573};
        for (const auto word : words)
            mix(v, word);
        mix(v, static_cast<std::uint64_t>(words.size()) << 59);
        v[2] ^= 0xff;
        for (int round = 0; round < 4; ++round)
            turn(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
    }

  private:
    static void turn(std::uint64_t (&v)[4]) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = std::rotl(v[1], 13) ^ v[0];
        v[3] = std::rotl(v[3], 16) ^ v[2];
        v[0] = std::rotl(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = std::rotl(v[1], 17) ^ v[2];
        v[3] = std::rotl(v[3], 21) ^ v[0];
        v[2] = std::rotl(v[2], 32);
    }
    static void mix(std::uint64_t (&v)[4], std::uint64_t word) {
        v[3] ^= word;
        turn(v);
        turn(v);
        v[0] ^= word;
    }

    std::uint64_t key_[2];
};

} // namespace auklet::network
