#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "runnel/operators/operator.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/window_function.hpp"

// Windows without a key run in two stages, so that they are parallel: each subtask sums up the records that it has, by
// slice; one subtask merges these sums, as if each were a record.

namespace runnel {

namespace detail {

/// Records of one slice, summed up.
template <class A>
struct slice_sum {
    A value;
    std::uint64_t records;
};

template <class A>
constexpr std::uint64_t records_in(const slice_sum<A>& sum) noexcept {
    return sum.records;
}

/// The aggregate of sums that another aggregate has made.
template <class Agg>
class merge_slice_sums {
    using accumulator = accumulator_of<Agg>;

public:
    static constexpr bool creates_default = detail::creates_default<Agg>;

    explicit merge_slice_sums(Agg agg) : agg_(std::move(agg)) {}
    accumulator create() const { return agg_.create(); }
    void add(accumulator& a, const slice_sum<accumulator>& sum) const { agg_.merge(a, sum.value); }
    void merge(accumulator& a, const accumulator& later) const { agg_.merge(a, later); }
    auto result(const accumulator& a) const { return agg_.result(a); }
    template <class K>
    auto finish(const K& key, const window& span, result_of<Agg>&& value) const {
        return finished_of<Agg, K>(detail::finish(agg_, key, span, std::move(value)));
    }

private:
    [[no_unique_address]] Agg agg_;
};

}  // namespace detail

/// Sums up the records of each slice of the windows; a sum goes on when the first window of its slice is complete here,
/// hence before it is complete behind. Records of slices whose windows are complete here go on at once, each by itself.
///
/// Order, late records: none; what is late is found out behind. Checkpointed state: "sums", of each subtask; at another
/// parallelism the first one goes on with all of it.
/// Complexity: O(1) per record.
/// Thread safety: unsafe; one subtask owns it.
template <class T, class Spec, class Agg>
class local_window_operator {
    using accumulator = accumulator_of<Agg>;
    using grid_type = decltype(std::declval<const typename Spec::windows_type&>().slices(duration()));

public:
    using input_type = T;
    using output_type = detail::slice_sum<accumulator>;

    local_window_operator(const Spec& spec, Agg aggregate)
        : agg_(std::move(aggregate)),
          grid_(spec.windows().slices(spec.lateness())),
          windows_text_(spec.windows().text()) {}

    void open(const operator_context& context) { subtask_ = context.subtask; }

    progress process(batch<T>& in, output<output_type>& out) {
        const T* const records = in.values();
        const timestamp* const times = std::as_const(in).times();
        sum* into = nullptr;
        for (std::size_t i = in.cursor(); i != in.size();) {
            const detail::slice_span span = into && into->span.holds(times[i]) ? into->span : grid_.span_of(times[i]);
            std::size_t end = i + 1;
            while (end != in.size() && span.holds(times[end])) ++end;
            try {
                if (span.has_window && span.first_due > watermark_) {
                    into = &sum_of(span);
                    for (; i != end; ++i) add_record(agg_, into->value, records[i], times[i]);
                    into->records += end - in.cursor();
                } else if (span.has_window) {
                    for (; i != end; in.consume_until(++i)) {
                        if (!out.ready()) return progress::blocked;
                        accumulator one = agg_.create();
                        add_record(agg_, one, records[i], times[i]);
                        out.emit({std::move(one), 1}, times[i]);
                    }
                }
            } catch (...) {
                if (span.first_due > watermark_ && into) into->records += i - in.cursor();
                in.consume_until(i);  // names the record in hand
                throw;
            }
            in.consume_until(i = end);
        }
        return progress::done;
    }

    progress advance(timestamp w, output<output_type>& out) {
        if (w <= watermark_) return progress::done;
        while (!sums_.empty() && sums_.begin()->second.span.first_due <= w) {
            if (!out.ready()) return progress::blocked;
            sum& s = sums_.begin()->second;
            if (s.records != 0) out.emit({std::move(s.value), s.records}, s.span.last);
            sums_.erase(sums_.begin());
        }
        watermark_ = w;
        return progress::done;
    }

    void save(snapshot_writer& to) const {
        // There are as many sums as slices, however many records: they can be copied.
        to.later([w = watermark_, sums = std::make_shared<const decltype(sums_)>(sums_)](snapshot_writer& into) {
            std::string& bytes = into.local("sums");
            codec<timestamp>::encode(w, bytes);
            codec<std::uint64_t>::encode(sums->size(), bytes);
            for (const auto& [first, s] : *sums) {
                codec<timestamp>::encode(first, bytes);
                codec<std::uint64_t>::encode(s.records, bytes);
                detail::encode_accumulator(s.value, bytes);
            }
        });
        to.local("windows") = windows_text_;
        detail::save_window_layouts<no_key, accumulator>(to);
    }
    void load(snapshot_reader& from) {
        detail::check_windows(from, windows_text_);
        const detail::saved_accumulators<no_key, accumulator> accumulators(from);
        // The stage behind has not come further than the slowest of those that were saved.
        timestamp lowest = timestamp::max();
        from.local("sums", [&](std::string_view bytes) {
            byte_reader in(bytes);
            lowest = std::min(lowest, codec<timestamp>::decode(in));
            for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
                const timestamp first = codec<timestamp>::decode(in);
                const auto records = codec<std::uint64_t>::decode(in);
                const accumulator value = accumulators.decode(in);
                if (subtask_ != 0) continue;
                const detail::slice_span span = grid_.span_of(first);
                sum& s = sum_of(span);
                try {
                    agg_.merge(s.value, value);
                    s.records += records;
                } catch (...) {
                    sums_.emplace(span.first, sum{span, value, records});  // Goes on by itself.
                }
            }
        });
        if (lowest != timestamp::max()) watermark_ = lowest;
    }

    /// Slices held now.
    std::size_t live_slices() const noexcept { return sums_.size(); }

private:
    struct sum {
        detail::slice_span span;
        accumulator value;
        std::uint64_t records;
    };
    sum& sum_of(const detail::slice_span& span) {
        const auto at = sums_.lower_bound(span.first);
        if (at != sums_.end() && at->first == span.first) return at->second;
        return sums_.emplace_hint(at, span.first, sum{span, agg_.create(), 0})->second;
    }

    [[no_unique_address]] Agg agg_;
    grid_type grid_;
    std::string windows_text_;
    std::size_t subtask_ = 0;
    timestamp watermark_ = timestamp::min();
    std::multimap<timestamp, sum> sums_;  // by first tick of the slice; records go to the first one
};

}  // namespace runnel
