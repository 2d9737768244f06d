#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/operators/late_output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/cumulative_contents.hpp"
#include "runnel/window/failures.hpp"
#include "runnel/window/frozen_slices.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/slice_filler.hpp"
#include "runnel/window/slice_store.hpp"
#include "runnel/window/sliding_contents.hpp"
#include "runnel/window/window.hpp"
#include "runnel/window/window_function.hpp"
#include "runnel/window/window_key.hpp"

namespace runnel {

namespace detail {

struct one_slice {};

/// What holds the contents of a window that consists of several slices.
template <class Windows, class K, class Agg>
struct window_contents {
    using type = one_slice;
};
template <class K, class Agg>
struct window_contents<sliding_windows, K, Agg> {
    using type = sliding_contents<K, Agg>;
};
template <class K, class Agg>
struct window_contents<cumulative_windows, K, Agg> {
    using type = cumulative_contents<K, Agg>;
};

}  // namespace detail

/// Aggregates the records of each key over windows that lie in time as a clock or a calendar has them: tumbling,
/// sliding, cumulative, daily, ...
///
/// Records go into the slice of their time: one accumulator per key and slice, however many windows share it.
/// Order: windows fire in order of their end; between keys free. A result has the time end - 1 ns.
/// Late records: one that comes while some of its windows are kept goes into those, and makes those that have fired
/// fire again for its key, at once and with the full contents; later ones go to the late output.
/// Errors: records and results that fail may be left out, see failures.hpp.
/// Checkpointed state: "slices", by key group: slice, key, accumulator.
/// Complexity: O(1) per record; amortised O(1) merges per key and window fired. Watermarks cost what they fire.
/// Thread safety: unsafe; one subtask owns it.
template <class K, class T, class KeyFn, class Spec, class Agg>
class slice_window_operator {
    using windows = typename Spec::windows_type;
    using grid_type = decltype(std::declval<const windows&>().slices(duration()));
    using window_contents = typename detail::window_contents<windows, K, Agg>::type;
    /// A window may consist of several slices.
    static constexpr bool overlapping = !std::is_same_v<window_contents, detail::one_slice>;
    using accumulator = accumulator_of<Agg>;
    using slice = detail::slice<K, accumulator>;
    using filler = detail::slice_filler<K, T, Agg>;
    using wide = detail::wide;
    using key_function = detail::window_key<K, T, KeyFn>;
    using key_type = typename key_function::type;

public:
    using input_type = T;
    using output_type = windowed<K, detail::finished_of<Agg, K>>;
    using side_types = std::conditional_t<Spec::has_side, std::tuple<late_record<T>>, std::tuple<>>;

    slice_window_operator(KeyFn key, const Spec& spec, Agg aggregate)
        : key_(std::move(key)),
          agg_(std::move(aggregate)),
          grid_(spec.windows().slices(spec.lateness())),
          windows_text_(spec.windows().text()),
          slices_(grid_.slices_per_tick()) {}
    /// Copies what the operator is made of, not what it has seen.
    slice_window_operator(const slice_window_operator& other)
        : key_(other.key_),
          agg_(other.agg_),
          grid_(other.grid_),
          windows_text_(other.windows_text_),
          slices_(grid_.slices_per_tick()) {}
    slice_window_operator(slice_window_operator&&) = default;
    slice_window_operator& operator=(slice_window_operator&&) = delete;

    void open(const operator_context& context)
        requires(!Spec::has_side)
    {
        open_with(context, nullptr);
    }
    void open(const operator_context& context, output<late_record<T>>& late)
        requires(Spec::has_side)
    {
        open_with(context, &late);
    }

    progress process(batch<T>& in, output<output_type>& out) {
        for (;;) {
            without_window_ += filler_.fill(
                in, slices_, key_, agg_, [this](timestamp t) { return grid_.span_of(t); },
                [this](const detail::slice_span& span) { return is_ahead(span); },
                [this](const detail::slice_span& span) { return &insert(span); },
                [this, &in](std::size_t i) {
                    detail::leave_out_record(context_, std::as_const(in).value(i), in.time(i));
                });
            if (in.empty()) return progress::done;
            if (add_behind(in, out) == progress::blocked) return progress::blocked;
        }
    }

    progress advance(timestamp w, output<output_type>& out) {
        if (w <= watermark_) return progress::done;
        if (w >= next_due_ && fire_due(w, out) == progress::blocked) return progress::blocked;
        while (!slices_.empty() && slices_.front().span.cleared <= w) slices_.drop_front();
        if constexpr (overlapping)
            if (slices_.empty()) contents_.clear();
        watermark_ = w;
        return progress::done;
    }

    void save(snapshot_writer& to) const {
        to.local("windows") = windows_text_;
        detail::save_window_layouts<K, accumulator>(to);
        restored_.save(to, context_.mine, watermark_);
        using copy = detail::frozen_slices<K, accumulator>;
        detail::save_gradually(
            to, std::make_shared<copy>(slices_),
            [groups = context_.key_groups, mine = context_.mine](snapshot_writer& into, copy& slices) {
                detail::keyed_entries entries(groups);
                slices.consume([&](const detail::slice_span& span, const K& key, const accumulator& a) {
                    std::string& bytes = entries.next(key);
                    codec<timestamp>::encode(span.first, bytes);
                    codec<K>::encode(key, bytes);
                    detail::encode_accumulator(a, bytes);
                });
                entries.write(into, "slices", mine);
            });
    }
    void load(snapshot_reader& from) {
        detail::check_windows(from, windows_text_);
        const detail::saved_accumulators<K, accumulator> accumulators(from);
        watermark_ = detail::keyed_entries::read(from, "slices", restored_, [&](byte_reader& in) {
            const timestamp first = codec<timestamp>::decode(in);
            const K key = codec<K>::decode(in);
            slice* into = slices_.find(first);
            if (!into) into = &slices_.insert(grid_.span_of(first));
            into->keys.get_or_create(key, into->keys.hash(key)) = accumulators.decode(in);
        });
        next_due_ = timestamp::min();
    }

    /// Nothing is to be done at a watermark below.
    timestamp next_due() const noexcept { return next_due_; }
    /// The highest watermark that loaded state had seen.
    timestamp loaded_watermark() const noexcept { return restored_.highest(); }

    /// Records so far that lay between windows (the slide is larger than the size).
    std::uint64_t without_window() const noexcept { return without_window_; }
    /// Slices held now.
    std::size_t live_slices() const noexcept { return slices_.end_index() - slices_.begin_index(); }
    /// Keys that had records in the window fired last.
    std::size_t window_keys() const noexcept
        requires overlapping
    {
        return contents_.keys();
    }

private:
    void open_with(const operator_context& context, output<late_record<T>>* late) {
        context_ = context;
        late_.open(context, late);
        restored_.set_groups(context.key_groups);
        if constexpr (overlapping) contents_.open(context.key_groups);
    }

    /// No window of the slice has fired: its records are neither late nor make anything fire.
    bool is_ahead(const detail::slice_span& span) const noexcept {
        return span.first_due > watermark_ && !restored_.ahead_of(watermark_);
    }

    slice& insert(const detail::slice_span& span) {
        next_due_ = std::min(next_due_, span.first_due);
        return slices_.insert(span);
    }

    /// Takes the records from the cursor on that lie in one slice, with windows that have fired already.
    progress add_behind(batch<T>& in, output<output_type>& out) {
        const timestamp first = in.time(in.cursor());
        slice* into = slices_.find(first);
        const detail::slice_span span = into ? into->span : grid_.span_of(first);
        const std::size_t end = filler::end_of_run(in, span);
        for (std::size_t i = in.cursor(); i != end; in.consume_until(++i)) {
            if (!detail::can_leave_out(context_)) return progress::blocked;
            const T& record = std::as_const(in).value(i);
            try {
                key_type key = key_(record);
                const timestamp w = restored_.of(key, watermark_);
                if (span.cleared <= w) {
                    if (!late_.ready()) return progress::blocked;
                    late_.take(in.take(i), in.time(i), w, late_reason::window_cleared);
                    continue;
                }
                if (!out.ready()) return progress::blocked;
                if (!into) into = &insert(span);
                const std::uint64_t hash = into->keys.hash(key);
                const accumulator& a = filler::add_one(*into, key, hash, agg_, record, in.time(i));
                if constexpr (overlapping) contents_.touched(key, hash, span, grid_);
                if (span.first_due <= w) fire_again(key, hash, a, in.time(i), w, out);
            } catch (...) {
                detail::leave_out_record(context_, record, in.time(i));
            }
        }
        return progress::done;
    }

    /// Fires the windows of time t that are complete and kept, for one key.
    void fire_again(const K& key, std::uint64_t hash, const accumulator& a, timestamp t, timestamp w,
                    output<output_type>& out) {
        const wide first = std::max(grid_.first_window(t), grid_.first_kept(w));
        const wide last = std::min(grid_.last_window(t), grid_.last_complete(w));
        for (wide at = first; at <= last;) {
            try {
                if constexpr (overlapping)
                    contents_.each_window_of(key, hash, at, last, grid_, slices_, agg_,
                                             [&](wide window, const auto& c) {
                                                 emit(key, window, c.result(agg_), out);
                                                 at = grid_.next(window);
                                             });
                else
                    emit(key, at, agg_.result(a), out);
                return;
            } catch (...) {
                leave_out(key, at);
                at = grid_.next(at);
            }
        }
    }

    /// Fires, in order, the windows with records that watermark w completes and an earlier one has not.
    progress fire_due(timestamp w, output<output_type>& out) {
        if (!firing_) window_ = grid_.first_incomplete(watermark_);
        for (;; window_ = grid_.next(window_)) {
            const std::size_t i = slices_.index_from(grid_.begin(window_));
            if (i == slices_.end_index()) {
                next_due_ = timestamp::max();
                return progress::done;
            }
            window_ = std::max(window_, grid_.first_window(slices_[i].span.first));
            next_due_ = grid_.due(window_);
            if (next_due_ > w) return progress::done;
            if (!firing_) begin_window();
            firing_ = true;
            if (!fire(slices_[i], out)) return progress::blocked;
            firing_ = false;
        }
    }

    void begin_window() {
        cursor_ = 0;
        if constexpr (overlapping) contents_.begin(window_, grid_, slices_, agg_);
    }

    /// False if the output has no room: to be called again.
    bool fire(const slice& s, output<output_type>& out) {
        // Groups that were saved further on have fired this window before.
        const bool some_fired = restored_.ahead_of(watermark_);
        auto has_fired = [&](const K& key) { return some_fired && restored_.of(key, watermark_) >= next_due_; };
        if constexpr (overlapping) {
            return contents_.for_each(
                cursor_, grid_, slices_, agg_, [&] { return out.ready(); },
                [&](const K& key, const auto& contents, const Agg&) {
                    if (!has_fired(key)) emit(key, window_, contents.result(agg_), out);
                },
                [&](const K& key) {
                    if (!has_fired(key)) leave_out(key, window_);
                    return detail::can_leave_out(context_);
                });
        } else {
            for (cursor_ = s.keys.next(cursor_); cursor_ != s.keys.slots(); cursor_ = s.keys.next(cursor_ + 1)) {
                if (!out.ready()) return false;
                const K& key = s.keys.key_at(cursor_);
                if (has_fired(key)) continue;
                try {
                    emit(key, window_, agg_.result(s.keys.value_at(cursor_)), out);
                } catch (...) {
                    leave_out(key, window_);
                    if (detail::can_leave_out(context_)) continue;
                    ++cursor_;
                    return false;
                }
            }
            return true;
        }
    }

    /// Inside a catch block: the window's result for `key` could not be made.
    void leave_out(const K& key, wide window) {
        const runnel::window span{grid_.start(window), grid_.end(window)};
        detail::leave_out_result(context_, key, span, span.end.previous());
    }

    void emit(const K& key, wide window, result_of<Agg>&& value, output<output_type>& out) {
        const runnel::window span{grid_.start(window), grid_.end(window)};
        out.emit({key, span.start, span.end, detail::finish(agg_, key, span, std::move(value))}, span.end.previous());
    }

    key_function key_;
    [[no_unique_address]] Agg agg_;
    grid_type grid_;
    std::string windows_text_;

    operator_context context_;
    detail::late_output<T> late_;
    timestamp watermark_ = timestamp::min();
    detail::group_watermarks restored_;
    detail::slice_store<K, accumulator> slices_;
    [[no_unique_address]] window_contents contents_;
    filler filler_;
    std::uint64_t without_window_ = 0;

    timestamp next_due_ = timestamp::max();  // no window fires before; may be too low, never too high
    wide window_ = 0;                        // the window that fires, while firing_; how far it came
    bool firing_ = false;
    std::size_t cursor_ = 0;
};

}  // namespace runnel
