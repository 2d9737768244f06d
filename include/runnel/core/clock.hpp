#pragma once

#include <cstdint>
#include <functional>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Processing time and calls at a given processing time: the only way that runnel learns what time it is.
///
/// Thread safety: safe.
/// Lifetime: until every job that uses it has ended.
class clock {
public:
    /// Identifies a pending call; never 0.
    using call_id = std::uint64_t;

    virtual ~clock() = default;
    virtual timestamp now() const noexcept = 0;
    /// Calls `f` once, soon after `now()` has reached `t`, on a thread of the clock's choice; at once if `t` has
    /// passed, but never from inside `call_at`. `f` must be quick and must not throw.
    virtual call_id call_at(timestamp t, std::function<void()> f) = 0;
    /// After the return, the call has either finished or will never happen. Unknown ids are ignored. Not to be
    /// called from inside the call itself.
    virtual void cancel(call_id id) = 0;
};

}  // namespace runnel
