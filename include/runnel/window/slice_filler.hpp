#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/state/batch_update.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/by_value.hpp"
#include "runnel/window/slice_store.hpp"
#include "runnel/window/slicing.hpp"

namespace runnel::detail {

/// Takes records into slices, a batch at a time, as long as nothing is to be decided for each of them.
///
/// Thread safety: unsafe.
/// Complexity: O(1) per record.
template <class K, class T, class Agg>
class slice_filler {
    using accumulator = accumulator_of<Agg>;
    using slice_type = slice<K, accumulator>;
    using store = slice_store<K, accumulator>;

public:
    /// Takes records from the cursor on, up to the first one whose slice is not `is_ahead(span)`, or is not there and
    /// not made by `insert(span)`, which then gives nullptr. `span_of(t)` is the slice of a time.
    /// `failed(i)` is called inside a catch block for a record that can't be taken in: it throws on, or has it left
    /// out.
    /// Returns how many of the records had no window.
    template <class Key, class SpanOf, class IsAhead, class Insert, class Failed>
    std::size_t fill(batch<T>& in, store& slices, const Key& key, const Agg& agg, SpanOf span_of, IsAhead is_ahead,
                     Insert insert, Failed failed) {
        std::size_t without_window = 0;
        while (!in.empty()) {
            const std::size_t i = in.cursor();
            slice_type* into = slices.find(in.time(i));
            const slice_span span = into ? into->span : span_of(in.time(i));
            const std::size_t end = end_of_run(in, span);
            if (!span.has_window) {
                without_window += end - i;
                in.consume_until(end);
                continue;
            }
            if (!is_ahead(span) || (!into && !(into = insert(span)))) break;
            if (end == in.size() || end - i >= long_run)
                add_run(*into, in, end, key, agg, failed);
            else
                without_window += add_scattered(in, slices, key, agg, span_of, is_ahead, insert, failed);
        }
        return without_window;
    }

    /// Index behind the records from the cursor on that lie in one slice.
    static std::size_t end_of_run(const batch<T>& in, const slice_span& span) noexcept {
        if (span.holds(in.min_time()) && span.holds(in.max_time())) return in.size();
        std::size_t end = in.cursor() + 1;
        while (end != in.size() && span.holds(in.time(end))) ++end;
        return end;
    }

    /// Puts one record into its slice. Throws: what the aggregate throws; there is no new key then.
    static accumulator& add_one(slice_type& into, const K& key, std::uint64_t hash, const Agg& agg, const T& record,
                                timestamp t) {
        bool created;
        const auto make = [&] {
            accumulator a = agg.create();
            add_record(agg, a, record, t);
            return a;
        };
        accumulator& a = into.keys.get_or_create_with(key, hash, make, &created);
        if (!created) add_record(agg, a, record, t);
        return a;
    }

private:
    /// Puts the records from the cursor to `end` into their slice.
    template <class Key, class Failed>
    static void add_run(slice_type& into, batch<T>& in, std::size_t end, const Key& key, const Agg& agg,
                        Failed failed) {
        const std::size_t begin = in.cursor();
        add_all(into, in, end - begin, [begin](std::size_t n) { return begin + n; }, key, agg, failed);
        in.consume_until(end);
    }

    /// Puts records of several slices that come in turn into these, one slice after the other: until the batch ends,
    /// or a record can't be taken so. Returns how many had no window.
    template <class Key, class SpanOf, class IsAhead, class Insert, class Failed>
    std::size_t add_scattered(batch<T>& in, store& slices, const Key& key, const Agg& agg, SpanOf span_of,
                              IsAhead is_ahead, Insert insert, Failed failed) {
        std::size_t without_window = 0;
        std::size_t i = in.cursor();
        for (; i != in.size(); ++i) {
            slice_type* into = slices.locate(in.time(i));
            if (!into) {
                const slice_span span = span_of(in.time(i));
                if (!span.has_window) {
                    ++without_window;
                    continue;
                }
                if (!is_ahead(span) || !(into = insert(span))) break;
            }
            if (!is_ahead(into->span)) break;
            if (into->waiting.empty()) scattered_.push_back(into);
            into->waiting.push_back(static_cast<std::uint32_t>(i));
        }
        for (slice_type* into : scattered_) {
            const std::uint32_t* waiting = into->waiting.data();
            add_all(*into, in, into->waiting.size(), [waiting](std::size_t n) -> std::size_t { return waiting[n]; },
                    key, agg, failed);
            into->waiting.clear();
        }
        scattered_.clear();
        in.consume_until(i);
        return without_window;
    }

    /// Puts `n` records into their slice; `index` gives their places in the batch.
    template <class Index, class Key, class Failed>
    static void add_all(slice_type& into, batch<T>& in, std::size_t n, Index index, const Key& key, const Agg& agg,
                        Failed failed) {
        const T* records = in.values();
        const timestamp* times = in.times();
        std::size_t at = 0, made = n;
        try {
            // Small functions go along by value: what is only pointed to would be loaded again for every record.
            update_batch(
                into.keys, 0, n,
                [records, &at, index, key = by_value_if_small(key)](std::size_t i) -> typename Key::type {
                    at = i;
                    return (*key)(records[index(i)]);
                },
                [records, times, index, &made, agg = by_value_if_small(agg)](accumulator& a, std::size_t i,
                                                                             bool created) {
                    if (created) {
                        made = i;
                        if constexpr (!creates_default<Agg>) a = (*agg).create();
                    }
                    add_record(*agg, a, records[index(i)], times[index(i)]);
                });
        } catch (...) {
            in.consume_until(index(at));  // names the record in hand
            if (made == at) {
                typename Key::type k = key(records[index(at)]);
                into.keys.erase(k, into.keys.hash(k));
            }
            failed(index(at));
            add_rest(into, in, at + 1, n, index, key, agg, failed);
        }
    }
    /// What is behind a record that has failed, one by one.
    template <class Index, class Key, class Failed>
    [[gnu::cold, gnu::noinline]] static void add_rest(slice_type& into, batch<T>& in, std::size_t first, std::size_t n,
                                                      Index index, const Key& key, const Agg& agg, Failed failed) {
        for (std::size_t j = first; j != n; ++j) {
            const std::size_t i = index(j);
            in.consume_until(i);
            try {
                typename Key::type k = key(in.values()[i]);
                add_one(into, k, into.keys.hash(k), agg, in.values()[i], in.time(i));
            } catch (...) {
                failed(i);
            }
        }
    }

    /// From this length on, records that follow each other in one slice are put in as they lie.
    static constexpr std::size_t long_run = 16;

    std::vector<slice_type*> scattered_;  // those with waiting records, while a batch is taken in
};

}  // namespace runnel::detail
