#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runnel/window/aggregate.hpp"
#include "runnel/window/cumulative_slicing.hpp"
#include "runnel/window/slice_store.hpp"

namespace runnel::detail {

/// The contents of the cumulative window that fires, per key: the sum of its period's slices so far.
///
/// All of it follows from the slices: it is a cache, and no part of a snapshot.
/// Thread safety: unsafe.
/// Complexity: one merge for each key and slice, whatever the number of slices in a window.
template <class K, class Agg>
class cumulative_contents {
    using accumulator = accumulator_of<Agg>;
    using slices = slice_store<K, accumulator>;

public:
    /// What `emit` is given of a window of one key.
    struct contents {
        const accumulator* value;
        auto result(const Agg& agg) const { return agg.result(*value); }
    };

    void open(std::size_t) noexcept {}

    /// Takes in the slices that are new in `window`; the windows begun rise.
    void begin(wide window, const cumulative_slicing& grid, slices& all, const Agg& agg) {
        const wide period = grid.begin(window);
        if (period != period_) {
            sums_.clear();
            period_ = taken_until_ = period;
        }
        const wide end = grid.next(window);
        for (std::size_t i = all.index_from(taken_until_); i < all.end_index(); ++i) {
            if (all[i].span.first.ns() >= end) break;
            all[i].keys.for_each([&](const K& key, const accumulator& a) {
                bool created;
                entry& e = sums_.get_or_create(key, sums_.hash(key), &created);
                try {
                    if (!e.stale) add(e.value, created, a, agg);
                } catch (...) {
                    e.stale = true;  // It is tried again, and fails, when the window fires for this key.
                }
            });
        }
        taken_until_ = end;
    }

    /// Calls `emit(key, contents, agg)` for each key with records in the window begun, from slot `cursor` on; before
    /// that asks `ready()`, and returns false when the answer is no, to go on from `cursor` later. Calls `failed(key)`
    /// inside a catch block for a key that something throws at; that answers as `ready` does.
    template <class Ready, class Emit, class Failed>
    bool for_each(std::size_t& cursor, const cumulative_slicing&, const slices& all, const Agg& agg, Ready ready,
                  Emit emit, Failed failed) {
        for (; (cursor = sums_.next(cursor)) != sums_.slots(); ++cursor) {
            if (!ready()) return false;
            entry& e = sums_.value_at(cursor);
            try {
                if (e.stale) rebuild(sums_.key_at(cursor), e, all, agg);
                emit(sums_.key_at(cursor), contents{&e.value}, agg);
            } catch (...) {
                if (failed(sums_.key_at(cursor))) continue;
                ++cursor;
                return false;
            }
        }
        return true;
    }

    /// A record came for a slice that may have been taken in: the key's contents have to be put together anew.
    void touched(const K& key, std::uint64_t hash, const slice_span& span, const cumulative_slicing&) {
        if (span.first.ns() < taken_until_ && span.last.ns() >= period_) sums_.get_or_create(key, hash).stale = true;
    }

    /// Calls `emit(window, contents)` for each of the windows [first, last] of one period, all of which have records
    /// of the key.
    template <class Emit>
    void each_window_of(const K& key, std::uint64_t hash, wide first, wide last, const cumulative_slicing& grid,
                        const slices& all, const Agg& agg, Emit emit) const {
        accumulator sum{};
        bool created = true;
        std::size_t i = all.index_from(grid.begin(first));
        for (wide window = first; window <= last; window = grid.next(window)) {
            for (; i < all.end_index() && all[i].span.first.ns() < grid.next(window); ++i)
                if (const accumulator* a = all[i].keys.find(key, hash)) {
                    add(sum, created, *a, agg);
                    created = false;
                }
            emit(window, contents{&sum});
        }
    }

    /// Forgets everything; no slice is left.
    void clear() {
        sums_.clear();
        period_ = taken_until_ = -wide_max;
    }
    std::size_t keys() const noexcept { return sums_.size(); }

private:
    struct entry {
        accumulator value{};
        bool stale = false;  // to be rebuilt from the slices before use
    };

    static void add(accumulator& sum, bool created, const accumulator& a, const Agg& agg) {
        if (created)
            sum = a;
        else
            agg.merge(sum, a);
    }

    void rebuild(const K& key, entry& e, const slices& all, const Agg& agg) const {
        const std::uint64_t hash = sums_.hash(key);
        bool created = true;
        for (std::size_t i = all.index_from(period_); i < all.end_index(); ++i) {
            if (all[i].span.first.ns() >= taken_until_) break;
            if (const accumulator* a = all[i].keys.find(key, hash)) {
                add(e.value, created, *a, agg);
                created = false;
            }
        }
        e.stale = false;
    }

    table<K, entry> sums_;
    wide period_ = -wide_max;       // start of the period of the window begun last
    wide taken_until_ = -wide_max;  // slices of the period before it have been taken in
};

}  // namespace runnel::detail
