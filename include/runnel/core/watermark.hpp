#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Combines the watermarks of several inputs (channels of an operator, splits of a source) into one.
///
/// The result is the minimum over the active inputs and never goes back. Idle inputs don't count; one that
/// wakes counts again once its own watermark has reached the result. Finished inputs stop counting; when
/// all are finished the result is `timestamp::max()`. When all unfinished inputs are idle, the result rises
/// to the largest of their watermarks and the combination is idle itself.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Complexity: O(inputs) for each change that can move the result, O(1) otherwise.
class watermark_merger {
public:
    /// All inputs start active, at watermark `at` (`timestamp::min()`: none yet; after a restore: the saved one).
    explicit watermark_merger(std::size_t inputs, timestamp at = timestamp::min())
        : inputs_(inputs, input{at, state::active}), unfinished_(inputs), current_(at) {}

    /// Adds an input, active, that counts once it has reached the current result. Returns its index.
    std::size_t add_input() {
        inputs_.push_back({timestamp::min(), state::active});
        ++unfinished_;
        idle_ = false;
        return inputs_.size() - 1;
    }

    /// There may be more inputs: without an unfinished one the combination is idle, not finished.
    void expect_more() {
        ++unfinished_;
        update();
    }

    /// Raises the watermark of `i`; ignored if not higher, or if `i` is idle. `max` finishes the input.
    void watermark(std::size_t i, timestamp w) {
        input& in = inputs_[i];
        if (in.now == state::finished) return;
        if (w == timestamp::max()) return finish(i);
        if (in.now == state::idle || w <= in.at) return;
        const bool was_at_minimum = in.at <= current_;
        in.at = w;
        if (was_at_minimum) update();
    }
    void idle(std::size_t i) {
        if (inputs_[i].now != state::active) return;
        inputs_[i].now = state::idle;
        update();
    }
    /// `i` is active again: it said so, or sent a record.
    void wake(std::size_t i) {
        if (inputs_[i].now != state::idle) return;
        inputs_[i].now = state::active;
        idle_ = false;
        update();  // It may be the only one that counts, and ahead of the result.
    }
    void finish(std::size_t i) {
        if (inputs_[i].now == state::finished) return;
        inputs_[i].now = state::finished;
        --unfinished_;
        update();
    }

    /// The combined watermark.
    timestamp current() const noexcept { return current_; }
    /// True if no unfinished input is active (and at least one is unfinished).
    bool is_idle() const noexcept { return idle_; }
    bool is_finished() const noexcept { return unfinished_ == 0; }
    bool is_idle(std::size_t i) const noexcept { return inputs_[i].now == state::idle; }
    bool is_finished(std::size_t i) const noexcept { return inputs_[i].now == state::finished; }
    timestamp of(std::size_t i) const noexcept { return inputs_[i].at; }
    std::size_t size() const noexcept { return inputs_.size(); }

    /// The active input with the lowest watermark: the one that holds event time back.
    std::optional<std::size_t> held_by() const noexcept {
        std::optional<std::size_t> lowest;
        for (std::size_t i = 0; i < inputs_.size(); ++i)
            if (counts(inputs_[i]) && (!lowest || inputs_[i].at < inputs_[*lowest].at)) lowest = i;
        return lowest;
    }

private:
    enum class state : unsigned char { active, idle, finished };
    struct input {
        timestamp at;
        state now;
    };

    /// An input that woke behind the result neither holds it back nor pulls it back.
    bool counts(const input& in) const noexcept { return in.now == state::active && in.at >= current_; }

    void update() {
        if (unfinished_ == 0) {
            current_ = timestamp::max();
            idle_ = false;
            return;
        }
        bool any_active = false;
        std::optional<timestamp> lowest;
        timestamp largest_idle = timestamp::min();
        for (const input& in : inputs_) {
            any_active |= in.now == state::active;
            if (in.now == state::idle) largest_idle = std::max(largest_idle, in.at);
            if (counts(in) && (!lowest || in.at < *lowest)) lowest = in.at;
        }
        if (!any_active) {
            current_ = std::max(current_, largest_idle);
            idle_ = true;
        } else if (lowest) {
            current_ = *lowest;
        }
    }

    std::vector<input> inputs_;
    std::size_t unfinished_;
    timestamp current_;
    bool idle_ = false;
};

}  // namespace runnel
