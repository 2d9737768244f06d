#pragma once

#include "runnel/core/clock.hpp"

namespace runnel::tests {

/// A clock that stands still until it is set. It calls nobody.
class hand_clock final : public clock {
public:
    timestamp time{0};
    timestamp now() const noexcept override { return time; }
    call_id call_at(timestamp, std::function<void()>) override { return 1; }
    void cancel(call_id) override {}
};

}  // namespace runnel::tests
