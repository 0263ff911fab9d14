// SPDX-License-Identifier: MIT
// virtio-rng: random bytes for the guest (virtio 1.2, section 5.4).
#pragma once

#include "transport.hpp"

#include <functional>

namespace auklet::virtio {

class EntropyDevice final : public Device {
  public:
    /// `random` fills a span from the platform's cryptographic source.
    using Random = std::function<void(std::span<std::byte>)>;
    explicit EntropyDevice(Random random) : random_(std::move(random)) {}

    [[nodiscard]] std::string_view name() const override { return "entropy"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::uint32_t features() const override { return 0; }
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override { return {}; }

    void activate(Transport& transport, std::uint32_t features) override;
    void reset() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;

  private:
    Random random_;
    Transport* transport_ = nullptr;
};

} // namespace auklet::virtio
