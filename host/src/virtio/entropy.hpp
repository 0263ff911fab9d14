// SPDX-License-Identifier: MIT
// virtio-rng: random bytes for the guest (virtio 1.2, section 5.4).
#pragma once

#include "../platform.hpp"
#include "transport.hpp"

namespace auklet::virtio {

class EntropyDevice final : public Device {
  public:
    explicit EntropyDevice(Random& random) : random_(random) {}

    [[nodiscard]] std::string_view name() const override { return "entropy"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;

    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;

  private:
    Random& random_;
    Transport* transport_ = nullptr;
};

} // namespace auklet::virtio
