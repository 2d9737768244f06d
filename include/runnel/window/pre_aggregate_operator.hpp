#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/partial_aggregate.hpp"
#include "runnel/window/slice_store.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/window_key.hpp"

namespace runnel {

/// The first stage of an aggregation in two: makes one record of all that a batch holds for a key and slice.
///
/// It goes where records don't meet by key yet, so that of a key that most records have only a few go through the
/// exchange. Nothing is held back from batch to batch: watermarks, idle inputs and checkpoints act as without it.
/// A record whose slice the watermark has passed goes by itself, since it may make a window fire again.
/// Where that does not make a batch a good deal smaller, no key being hot, batches go through record by record, and
/// only now and then one is put together to see whether that has changed.
/// Order: per batch slices by time; between keys free.
/// Checkpointed state: "watermark", one per subtask; after a restore the highest counts.
/// Complexity: O(1) per record, without a look-up where no key is hot.
/// Thread safety: unsafe; one subtask owns it.
template <class K, class T, class KeyFn, class Agg>
class pre_aggregate_operator {
    using accumulator = accumulator_of<Agg>;
    using partial = partial_aggregate<K, accumulator>;

public:
    using input_type = T;
    using output_type = partial;
    static constexpr bool needs_event_time = true;

    pre_aggregate_operator(KeyFn key, const detail::slicing& grid, Agg aggregate)
        : key_(std::move(key)), agg_(std::move(aggregate)), grid_(grid), slices_(grid.slices_per_tick()) {}
    /// Copies what the operator is made of, not what it has seen.
    pre_aggregate_operator(const pre_aggregate_operator& other)
        : key_(other.key_), agg_(other.agg_), grid_(other.grid_), slices_(grid_.slices_per_tick()) {}
    pre_aggregate_operator(pre_aggregate_operator&&) = default;
    pre_aggregate_operator& operator=(pre_aggregate_operator&&) = delete;

    progress process(batch<T>& in, output<partial>& out) {
        // Behind a record that has failed the groups of those before it are still to be sent.
        while (!in.empty() || !slices_.empty()) {
            if (end_ == 0 && singly_ != 0 && slices_.empty()) {
                if (!send_singly(in, out)) return progress::blocked;
                --singly_;
                break;
            }
            if (end_ == 0) end_ = gather(in);
            if (!send(out)) return progress::blocked;
            in.consume_until(std::exchange(end_, 0));
        }
        return progress::done;
    }

    progress advance(timestamp w, output<partial>&) {
        watermark_ = std::max(watermark_, w);
        return progress::done;
    }

    void save(snapshot_writer& to) const { codec<timestamp>::encode(watermark_, to.local("watermark")); }
    void load(snapshot_reader& from) {
        from.local("watermark", [&](std::string_view bytes) {
            byte_reader in(bytes);
            watermark_ = std::max(watermark_, codec<timestamp>::decode(in));
        });
    }

private:
    struct group {
        accumulator value{};
        timestamp time = timestamp::min();
        std::uint64_t records = 0;
    };

    static constexpr std::size_t most_singly = 64;  // batches; so seldom does what is in vain cost next to nothing

    /// Sends each record from the cursor on by itself. False if the output has no room: to be called again.
    bool send_singly(batch<T>& in, output<partial>& out) {
        std::size_t i = in.cursor();
        try {
            for (; i != in.size() && out.ready(); ++i) {
                const T& record = std::as_const(in).value(i);
                const timestamp t = in.time(i);
                partial alone{key_(record), {}, t, 1};
                if constexpr (!detail::creates_default<Agg>) alone.value = agg_.create();
                add_record(agg_, alone.value, record, t);
                out.emit(std::move(alone), t);
            }
        } catch (...) {
            in.consume_until(i);  // names the record in hand
            throw;
        }
        in.consume_until(i);
        return in.empty();
    }

    /// Whether it has been worth while to put `records` into `groups`.
    void judge(std::size_t records, std::size_t groups) noexcept {
        const bool is_worth_it = records >= 2 * groups;
        // Batches that are as small say nothing.
        if (records < 16) return;
        in_vain_ = is_worth_it ? 0 : std::clamp<std::size_t>(2 * in_vain_, 1, most_singly);
        singly_ = in_vain_;
    }

    /// Puts records from the cursor on into groups: all, or those before one that goes by itself, or that one. Returns
    /// the index behind them.
    std::size_t gather(batch<T>& in) {
        const std::size_t begin = in.cursor();
        std::size_t i = begin;
        groups_ = 0;
        try {
            for (; i != in.size(); ++i) {
                const timestamp t = in.time(i);
                detail::slice<K, group>* into = slices_.find(t);
                if (!into) {
                    const detail::slice_span span = grid_.span_of(t);
                    if (!span.has_window) continue;
                    if (span.last <= watermark_ && i != begin) return i;
                    into = &slices_.insert(span);
                }
                add(*into, std::as_const(in).value(i), t);
                if (into->span.last <= watermark_) return i + 1;
            }
            judge(i - begin, groups_);
        } catch (...) {
            in.consume_until(i);  // names the record in hand
            throw;
        }
        return i;
    }

    void add(detail::slice<K, group>& into, const T& record, timestamp t) {
        auto&& key = key_(record);
        const std::uint64_t hash = into.keys.hash(key);
        group& g = into.keys.get_or_create(key, hash);
        if constexpr (!detail::creates_default<Agg>)
            if (g.records == 0) g.value = agg_.create();
        add_record(agg_, g.value, record, t);
        g.time = std::max(g.time, t);
        groups_ += g.records++ == 0;
    }

    /// Sends the groups and forgets them. False if the output has no room: to be called again.
    bool send(output<partial>& out) {
        for (; !slices_.empty(); slices_.drop_front(), cursor_ = 0) {
            auto& keys = slices_.front().keys;
            for (cursor_ = keys.next(cursor_); cursor_ != keys.slots(); cursor_ = keys.next(cursor_ + 1)) {
                if (!out.ready()) return false;
                group& g = keys.value_at(cursor_);
                if (g.records != 0) out.emit({keys.key_at(cursor_), std::move(g.value), g.time, g.records}, g.time);
            }
        }
        return true;
    }

    detail::window_key<K, T, KeyFn> key_;
    [[no_unique_address]] Agg agg_;
    detail::slicing grid_;
    timestamp watermark_ = timestamp::min();
    detail::slice_store<K, group> slices_;
    std::size_t end_ = 0;     // index behind the records gathered, until all groups are sent
    std::size_t cursor_ = 0;  // the group of the first slice that is sent next
    std::size_t groups_ = 0;   // of the records gathered last
    std::size_t singly_ = 0;   // so many batches more go through record by record
    std::size_t in_vain_ = 0;  // the number of those since a batch was put together for nothing
};

}  // namespace runnel
