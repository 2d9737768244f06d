#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/trigger_memory.hpp"
#include "runnel/window/window.hpp"

namespace runnel::detail {

/// Records that wait for event time to reach a point, to be part of what fires then.
template <class A>
struct window_piece {
    timestamp point;
    A value;
};

/// A window of one key with all that concerns its firing.
template <class A, class Memory = no_trigger_memory>
struct kept_window {
    timestamp start;
    timestamp end;
    A value;                               ///< What it gives when it fires next.
    std::vector<window_piece<A>> pieces;   ///< What is not yet part of `value`, by point.
    std::uint64_t since = 0;               ///< Records since it last fired.
    std::uint64_t fired = 0;               ///< Times it has fired.
    bool closed = false;                   ///< The watermark has completed it.
    bool on_time = false;                  ///< Its on-time pane has been given.
    timestamp fire_at = timestamp::max();  ///< Watermark at which it fires, late.
    timestamp tick_at = timestamp::max();  ///< Processing time at which it fires.
    [[no_unique_address]] Memory trigger{};

    window span() const noexcept { return {start, end}; }
    bool touches(const window& other) const noexcept { return start <= other.end && other.start <= end; }

    /// Makes the records that waited for points up to `point` part of the value. Throws what `merge` throws first; what
    /// it throws at is gone, the others are taken.
    template <class Agg>
    void take_pieces(timestamp point, const Agg& agg) {
        std::exception_ptr failure;
        std::size_t n = 0;
        for (; n != pieces.size() && pieces[n].point <= point; ++n) {
            try {
                agg.merge(value, pieces[n].value);
            } catch (...) {
                if (!failure) failure = std::current_exception();
            }
        }
        pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(n));
        if (failure) std::rethrow_exception(failure);
    }
    /// Has `add(A&)` take something into what waits for `point`. Throws what `add` throws: nothing more waits then.
    template <class Agg, class Add>
    void add_to_piece(timestamp point, const Agg& agg, Add add) {
        const auto at = std::lower_bound(pieces.begin(), pieces.end(), point,
                                         [](const window_piece<A>& p, timestamp t) { return p.point < t; });
        if (at != pieces.end() && at->point == point) return add(at->value);
        A one = agg.create();
        add(one);
        pieces.insert(at, {point, std::move(one)});
    }

    /// Takes in a window that lies later in time.
    template <class Agg>
    void merge(kept_window&& later, const Agg& agg) {
        agg.merge(value, later.value);
        for (window_piece<A>& p : later.pieces)
            add_to_piece(p.point, agg, [&](A& a) { agg.merge(a, p.value); });
        since += later.since;
        fired = std::max(fired, later.fired);
        tick_at = std::min(tick_at, later.tick_at);
        trigger.merge_times(later.trigger);
    }

    void encode(std::string& out) const {
        codec<timestamp>::encode(start, out);
        codec<timestamp>::encode(end, out);
        encode_accumulator(value, out);
        codec<std::uint64_t>::encode(pieces.size(), out);
        for (const window_piece<A>& p : pieces) {
            codec<timestamp>::encode(p.point, out);
            encode_accumulator(p.value, out);
        }
        codec<std::uint64_t>::encode(since, out);
        codec<std::uint64_t>::encode(fired, out);
        codec<bool>::encode(closed, out);
        codec<bool>::encode(on_time, out);
        codec<timestamp>::encode(fire_at, out);
        codec<timestamp>::encode(tick_at, out);
        trigger.encode(out);
    }
    template <class Accumulators>
    static kept_window decode(byte_reader& in, const Accumulators& accumulators, const layout_conversion* triggers) {
        const timestamp start = codec<timestamp>::decode(in);
        const timestamp end = codec<timestamp>::decode(in);
        kept_window w{start, end, accumulators.decode(in), {}};
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
            const timestamp point = codec<timestamp>::decode(in);
            w.pieces.push_back({point, accumulators.decode(in)});
        }
        w.since = codec<std::uint64_t>::decode(in);
        w.fired = codec<std::uint64_t>::decode(in);
        w.closed = codec<bool>::decode(in);
        w.on_time = codec<bool>::decode(in);
        w.fire_at = codec<timestamp>::decode(in);
        w.tick_at = codec<timestamp>::decode(in);
        w.trigger.decode(in, triggers);
        return w;
    }
};

/// The session that `opened` becomes together with those of `windows` that it overlaps or touches.
template <class Windows>
window merged_with(const Windows& windows, const window& opened) noexcept {
    window span = opened;
    for (const auto& x : windows)
        if (x.touches(opened)) span = {std::min(x.start, span.start), std::max(x.end, span.end)};
    return span;
}

}  // namespace runnel::detail
