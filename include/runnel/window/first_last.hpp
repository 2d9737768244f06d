#pragma once

#include "runnel/window/aggregate.hpp"
#include "runnel/window/picked_record.hpp"

namespace runnel {

/// The first or the last record by event time; see `first` and `last`.
template <class T, bool Last>
class end_aggregate {
    using state = detail::picked_record<T>;

public:
    static constexpr bool creates_default = true;
    state create() const noexcept { return {}; }
    void add(state& end, const T& record, timestamp t) const {
        if (end.record && (Last ? t < end.time : t >= end.time)) return;
        end.record = record;
        end.time = t;
    }
    void merge(state& end, const state& other) const {
        if (other.record) add(end, *other.record, other.time);
    }
    T result(const state& end) const { return detail::value_or_nothing(end.record); }
};

template <bool Last>
struct end_recipe {
    template <class T>
    end_aggregate<T, Last> bind() const {
        return {};
    }
};

/// The record with the earliest time; of several with that time the one that came first.
constexpr end_recipe<false> first() noexcept { return {}; }

/// The record with the latest time; of several with that time the one that came last.
constexpr end_recipe<true> last() noexcept { return {}; }

}  // namespace runnel
