#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runnel/state/batch_update.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/window/slice_store.hpp"
#include "runnel/window/two_stacks.hpp"

namespace runnel::detail {

/// The contents of the sliding window that fires, per key, carried on from window to window.
///
/// All of it follows from the slices: it is a cache, and no part of a snapshot. Keys are in it that have records in
/// the window fired last (or late ones since).
/// Thread safety: unsafe.
/// Complexity: amortised O(1) merges for each key and window, whatever the number of slices in a window.
template <class K, class Agg>
class sliding_contents {
    using accumulator = accumulator_of<Agg>;
    using slices = slice_store<K, accumulator>;

public:
    void open(std::size_t groups) noexcept { groups_ = groups; }

    /// Takes in the slices that are new in `window`; the windows begun rise.
    void begin(wide window, const slicing& grid, slices& all, const Agg&) {
        const wide end = window + grid.size();
        for (std::size_t i = all.index_from(std::max(window, taken_until_)); i < all.end_index(); ++i) {
            if (all[i].span.first.ns() >= end) break;
            take(all[i], grid);
        }
        taken_until_ = end;
        window_ = window;
    }

    /// Calls `emit(key, result)` for each key with records in the window begun, from slot `cursor` on; before that
    /// asks `ready()`, and returns false when the answer is no, to go on from `cursor` later. Calls `failed(key)`
    /// inside a catch block for a key that something throws at; that answers as `ready` does.
    template <class Ready, class Emit, class Failed>
    bool for_each(std::size_t& cursor, const slicing& grid, const slices& all, const Agg& agg, Ready ready, Emit emit,
                  Failed failed) {
        constexpr std::size_t block = 32;
        std::size_t slots[block];
        for (;;) {
            std::size_t n = 0;
            for (std::size_t s = cursor; n != block && (s = open_.next(s)) != open_.slots(); ++s) {
                slots[n++] = s;
                open_.value_at(s).contents.prefetch();
            }
            if (n == 0) break;
            for (std::size_t i = 0; i != n; ++i) {
                cursor = slots[i];
                if (!ready()) return false;
                entry& e = open_.value_at(cursor);
                try {
                    if (e.stale) rebuild(open_.key_at(cursor), e, all);
                    e.contents.advance(window_, grid.size(), agg);
                    if (e.contents.empty())
                        open_.erase_at(cursor);
                    else
                        emit(open_.key_at(cursor), e.contents, agg);
                } catch (...) {
                    e.stale = true;
                    if (failed(open_.key_at(cursor))) continue;
                    ++cursor;
                    return false;
                }
            }
            ++cursor;
        }
        return true;
    }

    /// A record came for a slice that may have been taken in: the key's contents have to be put together anew.
    void touched(const K& key, std::uint64_t hash, const slice_span& span, const slicing& grid) {
        if (span.first.ns() >= taken_until_) return;
        const auto make = [&] { return entry{two_stacks<Agg>(phase_of(key, grid)), true}; };
        open_.get_or_create_with(key, hash, make).stale = true;
    }

    /// Calls `emit(window, contents)` for each of the windows [first, last], all of which have records of the key.
    template <class Emit>
    void each_window_of(const K& key, std::uint64_t hash, wide first, wide last, const slicing& grid,
                        const slices& all, const Agg& agg, Emit emit) const {
        two_stacks<Agg> contents(phase_of(key, grid));
        std::size_t i = all.index_from(first);
        for (wide window = first; window <= last; window += grid.slide()) {
            for (; i < all.end_index() && all[i].span.first.ns() < window + grid.size(); ++i)
                if (const accumulator* a = all[i].keys.find(key, hash)) contents.push(all[i].span.first, *a);
            contents.advance(window, grid.size(), agg);
            emit(window, contents);
        }
    }

    /// Forgets everything; no slice is left.
    void clear() { open_.clear(); }
    std::size_t keys() const noexcept { return open_.size(); }

private:
    struct entry {
        two_stacks<Agg> contents;
        bool stale = false;  // to be rebuilt from the slices before use
    };

    void take(slice<K, accumulator>& from, const slicing& grid) {
        constexpr std::size_t block = 64;
        std::size_t slots[block];
        entry* entries[block];
        for (std::size_t s = 0; s != from.keys.slots();) {
            std::size_t n = 0;
            for (; n != block && (s = from.keys.next(s)) != from.keys.slots(); ++s) slots[n++] = s;
            open_.reserve(open_.size() + n);  // so that entries stay where they are
            update_batch(
                open_, 0, n, [&](std::size_t i) -> const K& { return from.keys.key_at(slots[i]); },
                [&](entry& e, std::size_t i, bool created) {
                    if (created) e.contents = two_stacks<Agg>(phase_of(from.keys.key_at(slots[i]), grid));
                    e.contents.prefetch();
                    entries[i] = &e;
                });
            for (std::size_t i = 0; i != n; ++i)
                entries[i]->contents.push(from.span.first, from.keys.value_at(slots[i]));
        }
    }

    void rebuild(const K& key, entry& e, const slices& all) const {
        e.contents.clear();
        const std::uint64_t hash = open_.hash(key);
        for (std::size_t i = all.index_from(window_); i < all.end_index(); ++i) {
            if (all[i].span.first.ns() >= taken_until_) break;
            if (const accumulator* a = all[i].keys.find(key, hash)) e.contents.push(all[i].span.first, *a);
        }
        e.stale = false;
    }

    /// Spreads the work of moving boundaries over time; from the key group, because that outlives the process.
    std::int64_t phase_of(const K& key, const slicing& grid) const {
        return static_cast<std::int64_t>(wide(grid.size()) * key_group_of(key, groups_) / static_cast<wide>(groups_));
    }

    table<K, entry> open_;
    wide taken_until_ = -wide_max;  // end of the window begun last: slices before it have been taken in
    wide window_ = 0;
    std::size_t groups_ = 128;
};

}  // namespace runnel::detail
