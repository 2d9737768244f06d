#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/window.hpp"

namespace runnel::detail {

/// The watermark that completes a session with this end: the end itself, a tick later than for other windows. A record
/// at the end still joins the session, and keeps the promise of the watermark `end` - 1: were the session closed by
/// that, it would depend on batches whether the record finds it.
constexpr timestamp session_due_at(timestamp end) noexcept { return end; }

/// The watermark at which a session with this end is forgotten.
constexpr timestamp session_cleared_at(timestamp end, duration lateness) noexcept {
    return std::max(session_due_at(end), cleared_at(end, lateness));
}

template <class A>
struct session_of {
    timestamp start;
    timestamp end;
    A value;
};

/// The sessions of one key, in order of time; no two overlap or touch. The newest, which most records go to, is
/// held inline.
/// Thread safety: unsafe.
/// Complexity: O(1) for what concerns the newest only, else O(sessions).
template <class A>
class session_list {
    using session = session_of<A>;

public:
    bool empty() const noexcept { return !any_; }
    std::size_t size() const noexcept { return older_.size() + any_; }
    session& newest() noexcept { return newest_; }

    /// The window that `opened` becomes together with the sessions that it overlaps or touches.
    window merged(window opened) const noexcept {
        for_each([&](const session& s) {
            if (s.start <= opened.end && opened.start <= s.end)
                opened = {std::min(s.start, opened.start), std::max(s.end, opened.end)};
        });
        return opened;
    }

    /// The session for `opened`: a new one made by `create()`, or one that the sessions in its way are merged into,
    /// oldest first. Valid until the next change.
    template <class Agg>
    session& join(window opened, const Agg& agg) {
        if (!any_ || newest_.end < opened.start) {
            append({opened.start, opened.end, agg.create()});
            return newest_;
        }
        older_.push_back(std::move(newest_));
        const auto begin = std::find_if(older_.begin(), older_.end(),
                                        [&](const session& s) { return s.end >= opened.start; });
        const auto end = std::find_if(begin, older_.end(), [&](const session& s) { return s.start > opened.end; });
        auto at = begin;
        if (begin == end) {
            at = older_.insert(begin, session{opened.start, opened.end, agg.create()});
        } else {
            for (auto next = begin + 1; next != end; ++next) agg.merge(at->value, next->value);
            at->start = std::min(at->start, opened.start);
            at->end = std::max((end - 1)->end, opened.end);
            older_.erase(begin + 1, end);
        }
        const bool is_last = at + 1 == older_.end();
        const auto index = at - older_.begin();
        newest_ = std::move(older_.back());
        older_.pop_back();
        return is_last ? newest_ : older_[static_cast<std::size_t>(index)];
    }

    /// Adds a session behind all others.
    void append(session s) {
        if (any_) older_.push_back(std::move(newest_));
        newest_ = std::move(s);
        any_ = true;
    }

    /// Removes the sessions that are cleared at t.
    void drop_cleared(timestamp t, duration lateness) {
        const auto kept = std::find_if(older_.begin(), older_.end(),
                                       [&](const session& s) { return session_cleared_at(s.end, lateness) > t; });
        older_.erase(older_.begin(), kept);
        if (any_ && older_.empty() && session_cleared_at(newest_.end, lateness) <= t) {
            newest_.value = A();
            any_ = false;
        }
    }

    /// Calls `f(session)` in order of time.
    template <class F>
    void for_each(F f) const {
        for (const session& s : older_) f(s);
        if (any_) f(newest_);
    }

    /// The session that is due at t; nullptr if none is.
    const session* due(timestamp t) const noexcept {
        for (const session& s : older_)
            if (session_due_at(s.end) == t) return &s;
        return any_ && session_due_at(newest_.end) == t ? &newest_ : nullptr;
    }

    /// The first time after `t` at which a session is due or cleared; those due by `t` have fired.
    timestamp next_event(timestamp t, duration lateness) const noexcept {
        timestamp next = timestamp::max();
        for_each([&](const session& s) {
            const timestamp due = session_due_at(s.end);
            next = std::min(next, due > t ? due : session_cleared_at(s.end, lateness));
        });
        return next;
    }

private:
    session newest_{};
    std::vector<session> older_;
    bool any_ = false;
};

}  // namespace runnel::detail
