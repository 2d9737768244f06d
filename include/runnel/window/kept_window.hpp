#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/own_trigger.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/window.hpp"

namespace runnel::detail {

/// Records that wait for event time to reach a point, to be part of what fires then.
template <class A>
struct window_piece {
    timestamp point;
    A value;
};

/// What a window keeps for a trigger of the user's: its state, and the times that it has asked for.
template <class State>
struct trigger_memory {
    State state{};
    trigger_times event_times;
    trigger_times processing_times;

    timestamp next_event() const noexcept { return event_times.first(); }
    timestamp next_tick() const noexcept { return processing_times.first(); }
    bool has_event_by(timestamp t) const noexcept { return !event_times.empty() && event_times.first() <= t; }

    void merge_times(const trigger_memory& later) {
        event_times.merge(later.event_times);
        processing_times.merge(later.processing_times);
    }
    void encode(std::string& out) const {
        if constexpr (!std::is_same_v<State, no_trigger_state>) codec<State>::encode(state, out);
        codec<std::vector<timestamp>>::encode(event_times.all(), out);
        codec<std::vector<timestamp>>::encode(processing_times.all(), out);
    }
    void decode(byte_reader& in) {
        if constexpr (!std::is_same_v<State, no_trigger_state>) state = codec<State>::decode(in);
        for (const timestamp t : codec<std::vector<timestamp>>::decode(in)) event_times.add(t);
        for (const timestamp t : codec<std::vector<timestamp>>::decode(in)) processing_times.add(t);
    }
};

/// What a window without such a trigger keeps for it.
struct no_trigger_memory {
    static constexpr timestamp next_event() noexcept { return timestamp::max(); }
    static constexpr timestamp next_tick() noexcept { return timestamp::max(); }
    static constexpr bool has_event_by(timestamp) noexcept { return false; }
    static constexpr void merge_times(const no_trigger_memory&) noexcept {}
    static constexpr void encode(std::string&) noexcept {}
    static constexpr void decode(byte_reader&) noexcept {}
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

    /// Makes the records that waited for points up to `point` part of the value; false if there were none.
    template <class Agg>
    bool take_pieces(timestamp point, const Agg& agg) {
        std::size_t n = 0;
        for (; n != pieces.size() && pieces[n].point <= point; ++n) agg.merge(value, pieces[n].value);
        pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(n));
        return n != 0;
    }
    /// What waits for `point`.
    template <class Agg>
    A& piece_at(timestamp point, const Agg& agg) {
        auto at = pieces.end();
        while (at != pieces.begin() && point <= (at - 1)->point) --at;
        if (at == pieces.end() || at->point != point) at = pieces.insert(at, {point, agg.create()});
        return at->value;
    }

    /// Takes in a window that lies later in time.
    template <class Agg>
    void merge(kept_window&& later, const Agg& agg) {
        agg.merge(value, later.value);
        for (window_piece<A>& p : later.pieces) agg.merge(piece_at(p.point, agg), p.value);
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
    static kept_window decode(byte_reader& in) {
        const timestamp start = codec<timestamp>::decode(in);
        const timestamp end = codec<timestamp>::decode(in);
        kept_window w{start, end, decode_accumulator<A>(in), {}};
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
            const timestamp point = codec<timestamp>::decode(in);
            w.pieces.push_back({point, decode_accumulator<A>(in)});
        }
        w.since = codec<std::uint64_t>::decode(in);
        w.fired = codec<std::uint64_t>::decode(in);
        w.closed = codec<bool>::decode(in);
        w.on_time = codec<bool>::decode(in);
        w.fire_at = codec<timestamp>::decode(in);
        w.tick_at = codec<timestamp>::decode(in);
        w.trigger.decode(in);
        return w;
    }
};

}  // namespace runnel::detail
