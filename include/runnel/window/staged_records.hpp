#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runnel/codec/binary.hpp"
#include "runnel/core/batch.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/frozen_slices.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/slice_filler.hpp"
#include "runnel/window/slice_store.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/triggers.hpp"

namespace runnel::detail {

/// Records of windows on a grid that fire early, every period of event time, until event time has come so far that
/// they are part of what fires: an accumulator per key and slice, however many windows share it.
///
/// A slice ends where one of the grid ends, and at each whole multiple of the period. So all its records belong to the
/// same windows and wait for the same multiple, and none of its windows fires before its last tick has passed.
/// Order: slices are handed over in order of time.
/// Complexity: O(1) per record.
/// Thread safety: unsafe.
template <class K, class T, class Agg, class Grid>
class staged_records {
    using accumulator = accumulator_of<Agg>;
    using slice_type = slice<K, accumulator>;

public:
    /// `firing`: with the rule for early results.
    template <class Firing>
    staged_records(const Grid& grid, const Firing& firing)
        : grid_(grid),
          is_used_(firing.early.what == firing_rule::kind::event_time),
          period_(std::max(firing.early.period, duration(1))),
          slices_(std::max(grid.slices_per_tick(), 1.0 / static_cast<double>(period_.count()))) {}

    /// Takes the records from the cursor on, up to the first one of a slice that watermark w has passed. Returns how
    /// many of them had no window. `failed`: see `slice_filler`.
    template <class Key, class Failed>
    std::size_t take(batch<T>& in, const Key& key, const Agg& agg, timestamp w, Failed failed) {
        if (!is_used_) return 0;
        return filler_.fill(
            in, slices_, key, agg, [this](timestamp t) { return span_of(t); },
            // At the end of all times a window is complete before its last tick.
            [w](const slice_span& span) { return w < span.last && span.last <= span.first_due; },
            [this](const slice_span& span) -> slice_type* {
                return slices_.end_index() - slices_.begin_index() < most_slices ? &slices_.insert(span) : nullptr;
            },
            failed);
    }

    /// The watermark at which the first slice is to be handed over; timestamp::max() if there is none.
    timestamp next_due() const noexcept { return empty() ? timestamp::max() : first_slice().span.last; }
    bool empty() const noexcept { return slices_.empty(); }
    /// Any time in the first slice.
    timestamp first_time() const noexcept { return first_slice().span.first; }
    /// The multiple of the period that the records of the first slice wait for.
    timestamp point() const noexcept { return point_of(first_slice().span); }

    /// Some keys of the first slice that have not been handed over yet, by slot; none if there are no more.
    std::span<const std::size_t> next_keys(std::size_t most) noexcept {
        const table<K, accumulator>& keys = first_slice().keys;
        std::size_t n = 0;
        for (std::size_t s = cursor_; n != std::min(most, block) && (s = keys.next(s)) != keys.slots(); ++s)
            slots_[n++] = s;
        return {slots_, n};
    }
    const K& key_at(std::size_t slot) const noexcept { return first_slice().keys.key_at(slot); }
    const accumulator& value_at(std::size_t slot) const noexcept { return first_slice().keys.value_at(slot); }
    /// The keys up to `slot` have been handed over.
    void handed_over(std::size_t slot) noexcept { cursor_ = slot + 1; }
    void drop_first() {
        slices_.drop_front();
        cursor_ = 0;
    }

    /// Saves, as keyed state `name`: a time of the slice, the multiple that it waits for, key, accumulator.
    void save(snapshot_writer& to, std::string_view name, std::size_t groups, key_group_range mine) const {
        using copy = frozen_slices<K, accumulator>;
        save_gradually(to, std::make_shared<copy>(slices_, cursor_),
                       [name = std::string(name), groups, mine, period = period_](snapshot_writer& into, copy& slices) {
                           keyed_entries entries(groups);
                           slices.consume([&](const slice_span& span, const K& key, const accumulator& a) {
                               std::string& bytes = entries.next(key);
                               codec<timestamp>::encode(span.first, bytes);
                               codec<timestamp>::encode(multiple_after(span.last.ns(), period), bytes);
                               codec<K>::encode(key, bytes);
                               encode_accumulator(a, bytes);
                           });
                           entries.write(into, name, mine);
                       });
    }

private:
    /// Bounds what many slices of few records would cost; what comes beyond is left to be taken one by one.
    static constexpr std::size_t most_slices = 1024;
    static constexpr std::size_t block = 256;

    const slice_type& first_slice() const noexcept { return slices_[slices_.begin_index()]; }
    timestamp point_of(const slice_span& span) const noexcept { return multiple_after(span.last.ns(), period_); }

    slice_span span_of(timestamp t) const noexcept {
        slice_span span = grid_.span_of(t);
        const wide next = wide_multiple_after(t.ns(), period_);
        span.first = std::max(span.first, saturate(next - period_.count()));
        span.last = std::min(span.last, saturate(next - 1));
        return span;
    }

    Grid grid_;
    bool is_used_;
    duration period_;
    slice_store<K, accumulator> slices_;
    slice_filler<K, T, Agg> filler_;
    std::size_t cursor_ = 0;  // the slots of the first slice before it have been handed over
    std::size_t slots_[block];
};

/// What holds records back that only take part in what fires later.
template <class K, class T, class Agg, class Grid, bool OnGrid>
struct staging {
    struct none {
        none(const Grid&, const auto&) {}
    };
    using type = none;
};
template <class K, class T, class Agg, class Grid>
struct staging<K, T, Agg, Grid, true> {
    using type = staged_records<K, T, Agg, Grid>;
};

}  // namespace runnel::detail
