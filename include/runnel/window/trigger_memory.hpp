#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/window/own_trigger.hpp"
#include "runnel/window/triggers.hpp"

namespace runnel::detail {

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
    void decode(byte_reader& in, const layout_conversion* how) {
        if constexpr (!std::is_same_v<State, no_trigger_state>) state = decode_saved<State>(how, in);
        for (const timestamp t : codec<std::vector<timestamp>>::decode(in)) event_times.add(t);
        for (const timestamp t : codec<std::vector<timestamp>>::decode(in)) processing_times.add(t);
    }
    static void save_layout(snapshot_writer& to) {
        if constexpr (!std::is_same_v<State, no_trigger_state>) runnel::save_layout<State>(to, "trigger");
    }
    static std::unique_ptr<const layout_conversion> conversion_of(const snapshot_reader& from) {
        if constexpr (std::is_same_v<State, no_trigger_state>) return nullptr;
        else return conversion_to(layout_builder::build<State>(), from, "trigger");
    }
};

/// What a window without such a trigger keeps for it.
struct no_trigger_memory {
    static constexpr timestamp next_event() noexcept { return timestamp::max(); }
    static constexpr timestamp next_tick() noexcept { return timestamp::max(); }
    static constexpr bool has_event_by(timestamp) noexcept { return false; }
    static constexpr void merge_times(const no_trigger_memory&) noexcept {}
    static constexpr void encode(std::string&) noexcept {}
    static constexpr void decode(byte_reader&, const layout_conversion*) noexcept {}
    static void save_layout(snapshot_writer&) {}
    static std::unique_ptr<const layout_conversion> conversion_of(const snapshot_reader&) { return nullptr; }
};

template <class Firing, bool = has_own_trigger<Firing>>
struct trigger_memory_in {
    using state = no_trigger_state;
    using type = no_trigger_memory;
};
template <class Firing>
struct trigger_memory_in<Firing, true> {
    using state = typename trigger_state_of<decltype(std::declval<Firing&>().trigger)>::type;
    using type = trigger_memory<state>;
};

}  // namespace runnel::detail
