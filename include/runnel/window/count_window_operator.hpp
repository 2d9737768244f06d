#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/operators/operator.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/state/table.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/failures.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/two_stacks.hpp"
#include "runnel/window/window.hpp"
#include "runnel/window/window_function.hpp"
#include "runnel/window/window_key.hpp"

namespace runnel {

/// Aggregates the last `n` records of each key, in order of arrival, whenever `slide` have come.
///
/// Records are summed up in slices of gcd(n, slide); a window is a run of these.
/// Order: kept per key. Late records: none, it knows no time. A result has the time `timestamp::max()` and spans all
/// time, as the global window. What has not fired at the end of the input doesn't.
/// Errors: records and results that fail may be left out, see failures.hpp.
/// Checkpointed state: "counts", by key group: key, records so far, slices.
/// Complexity: O(1) per record; amortised O(1) merges per result.
/// Memory per key: one accumulator for count(n), else up to 3 n / gcd(n, slide).
/// Thread safety: unsafe; one subtask owns it.
template <class K, class T, class KeyFn, class Spec, class Agg>
class count_window_operator {
    using accumulator = accumulator_of<Agg>;

public:
    using input_type = T;
    using output_type = windowed<K, detail::finished_of<Agg, K>>;
    using side_types = std::tuple<>;

    count_window_operator(KeyFn key, const Spec& spec, Agg aggregate)
        : key_(std::move(key)),
          agg_(std::move(aggregate)),
          size_(std::max<std::int64_t>(1, spec.windows().size)),
          slide_(std::max<std::int64_t>(1, spec.windows().slide)),
          slice_(std::gcd(size_, slide_)),
          windows_text_(spec.windows().text()) {}

    void open(const operator_context& context) { context_ = context; }

    progress process(batch<T>& in, output<output_type>& out) {
        std::uint64_t hashes[block];
        while (!in.empty()) {
            std::size_t i = in.cursor();
            const std::size_t first = i, end = stage(in, hashes);
            for (; i != end; in.consume_until(++i)) {
                if (!out.ready() || !detail::can_leave_out(context_)) return progress::blocked;
                take(std::as_const(in).value(i), in.time(i), hashes[i - first], out);
            }
        }
        return progress::done;
    }

    void save(snapshot_writer& to) const {
        const auto write = [groups = context_.key_groups, mine = context_.mine, slice = slice_,
                            most = most_slices()](snapshot_writer& into, auto& keys) {
            detail::keyed_entries entries(groups);
            keys.consume([&](const K& key, const entry& e) {
                std::string& bytes = entries.next(key);
                codec<K>::encode(key, bytes);
                codec<std::int64_t>::encode(e.records, bytes);
                if (e.records % slice != 0) detail::encode_accumulator(e.open, bytes);
                const std::vector<accumulator>* slices = e.sliding.empty() ? nullptr : &e.sliding.front().slices;
                const std::size_t n = slices ? std::min(slices->size(), most) : 0;
                codec<std::uint64_t>::encode(n, bytes);
                if (!slices) return;
                for (auto a = slices->end() - static_cast<std::ptrdiff_t>(n); a != slices->end(); ++a)
                    detail::encode_accumulator(*a, bytes);
            });
            entries.write(into, "counts", mine);
        };
        detail::save_gradually(to, keys_, write);
        detail::group_watermarks().save(to, context_.mine, timestamp::min());
        to.local("windows") = windows_text_;
        detail::save_window_layouts<K, accumulator>(to);
    }
    void load(snapshot_reader& from) {
        detail::check_windows(from, windows_text_);
        const detail::saved_accumulators<K, accumulator> accumulators(from);
        detail::group_watermarks none;
        none.set_groups(context_.key_groups);
        detail::keyed_entries::read(from, "counts", none, [&](byte_reader& in) {
            const K key = codec<K>::decode(in);
            entry& e = keys_.get_or_create(key, keys_.hash(key));
            e.records = codec<std::int64_t>::decode(in);
            if (e.records % slice_ != 0) e.open = accumulators.decode(in);
            const auto n = static_cast<std::int64_t>(codec<std::uint64_t>::decode(in));
            for (std::int64_t i = 0; i != n; ++i) run_of(e).slices.push_back(accumulators.decode(in));
            if (n != 0) fill_contents(e);
        });
    }

    /// Keys with records that have not fired, or are in a window still to come.
    std::size_t live_keys() const noexcept { return keys_.size(); }

private:
    static constexpr std::size_t block = 64;  // keys that are fetched together

    /// What sliding windows need besides.
    struct run {
        std::vector<accumulator> slices;   // the last ones are those that the next window may consist of
        detail::two_stacks<Agg> contents;  // the same; a cache
    };
    struct entry {
        std::int64_t records = 0;
        accumulator open{};
        std::vector<run> sliding;  // one, or none: most counts do without, and more keys fit into the caches
    };

    /// Hashes the keys of the next records, and fetches what they are found by. Returns the index behind them.
    std::size_t stage(const batch<T>& in, std::uint64_t* hashes) const {
        const std::size_t first = in.cursor(), end = first + std::min(block, in.remaining());
        std::size_t i = first;
        try {
            for (; i != end; ++i) keys_.prefetch(hashes[i - first] = keys_.hash(key_(in.value(i))));
        } catch (...) {
            if (i == first) throw;  // Those before it come first.
        }
        const auto find = keys_.searches();
        for (std::size_t j = first; j != i; ++j) (void)find.look_and_fetch(hashes[j - first]);
        return i;
    }

    void take(const T& record, timestamp t, std::uint64_t hash, output<output_type>& out) {
        typename detail::window_key<K, T, KeyFn>::type key = key_(record);
        entry& e = keys_.get_or_create(key, hash);
        try {
            if (e.records % slice_ == 0) e.open = agg_.create();
            add_record(agg_, e.open, record, t);
            ++e.records;
        } catch (...) {
            if (e.records == 0) keys_.erase(K(key), hash);
            throw;
        }
        if (size_ == slide_) {
            if (e.records == size_) {
                fire(key, out, [&] { return agg_.result(e.open); });
                keys_.erase(K(key), hash);
            }
        } else {
            if (e.records % slice_ == 0) close_slice(e);
            if (e.records % slide_ == 0) {
                const bool given = fire(key, out, [&] {
                    detail::two_stacks<Agg>& contents = run_of(e).contents;
                    contents.advance(e.records - size_, size_, agg_);
                    return contents.result(agg_);
                });
                if (!given) fill_contents(e);
            }
        }
    }

    /// Puts the contents together from the slices.
    void fill_contents(entry& e) {
        auto& [slices, contents] = run_of(e);
        contents.clear();
        const auto n = static_cast<std::int64_t>(std::min(slices.size(), most_slices()));
        const std::int64_t end = e.records - e.records % slice_;
        for (std::int64_t i = n; i != 0; --i)
            contents.push(timestamp(end - i * slice_), *(slices.end() - static_cast<std::ptrdiff_t>(i)));
    }

    static run& run_of(entry& e) {
        if (e.sliding.empty()) e.sliding.emplace_back();
        return e.sliding.front();
    }
    void close_slice(entry& e) {
        auto& [slices, contents] = run_of(e);
        contents.push(timestamp(e.records - slice_), e.open);
        slices.push_back(std::move(e.open));
        if (slices.size() >= 2 * most_slices())
            slices.erase(slices.begin(), slices.end() - static_cast<std::ptrdiff_t>(most_slices()));
    }
    std::size_t most_slices() const noexcept { return static_cast<std::size_t>(size_ / slice_); }

    /// Gives the result of what `value()` makes; false if it is left out.
    template <class Value>
    bool fire(const K& key, output<output_type>& out, Value value) {
        const window all{timestamp::min(), timestamp::max()};
        try {
            out.emit({key, all.start, all.end, detail::finish(agg_, key, all, value())}, timestamp::max());
            return true;
        } catch (...) {
            detail::leave_out_result(context_, key, all, timestamp::max());
            return false;
        }
    }

    detail::window_key<K, T, KeyFn> key_;
    [[no_unique_address]] Agg agg_;
    std::int64_t size_;
    std::int64_t slide_;
    std::int64_t slice_;
    std::string windows_text_;
    operator_context context_;
    table<K, entry> keys_;
};

}  // namespace runnel
