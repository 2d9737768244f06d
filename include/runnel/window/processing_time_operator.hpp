#pragma once

#include <algorithm>
#include <tuple>
#include <utility>

#include "runnel/operators/operator.hpp"

namespace runnel {

/// Runs a window operator by processing time: each record counts for the job's clock at which its batch comes, and what
/// is due becomes so when the clock reaches it.
///
/// Order, state, complexity: as those of the operator inside. Late records: none, since the clock never goes back here.
/// At the end of the input all that is pending fires, in order of time. After a restore it goes on at the highest time
/// that the state has seen, or at the clock's if that is later.
/// Thread safety: unsafe; one subtask owns it.
template <class Inner>
class processing_time_operator {
public:
    using input_type = typename Inner::input_type;
    using output_type = typename Inner::output_type;
    using side_types = std::tuple<>;

    explicit processing_time_operator(Inner inner) : inner_(std::move(inner)) {}

    void open(const operator_context& context) {
        clock_ = context.clock;
        inner_.open(context);
    }
    progress process(batch<input_type>& in, output<output_type>& out) {
        if (clock_ && go_to(clock_->now(), out) == progress::blocked) return progress::blocked;
        in.set_times(now_);
        return inner_.process(in, out);
    }
    progress advance(timestamp w, output<output_type>& out) {
        return w == timestamp::max() ? inner_.advance(w, out) : progress::done;
    }
    progress tick(timestamp now, output<output_type>& out) {
        if (go_to(now, out) == progress::blocked) return progress::blocked;
        if constexpr (ticking_operator<Inner>) return inner_.tick(now, out);
        return progress::done;
    }
    timestamp next_tick() const {
        timestamp next = inner_.next_due() + duration(1);
        if constexpr (ticking_operator<Inner>) next = std::min(next, inner_.next_tick());
        return next;
    }

    void save(snapshot_writer& to) const { inner_.save(to); }
    void load(snapshot_reader& from) {
        inner_.load(from);
        now_ = std::max(now_, inner_.loaded_watermark() + duration(1));
    }

    Inner& inner() noexcept { return inner_; }

private:
    /// Records still come at the time that it is: only what is due before can happen.
    progress go_to(timestamp now, output<output_type>& out) {
        now_ = std::max(now_, std::min(now, timestamp::max().previous().previous()));
        return inner_.advance(now_.previous(), out);
    }

    Inner inner_;
    const clock* clock_ = nullptr;
    timestamp now_ = timestamp::min();
};

}  // namespace runnel
