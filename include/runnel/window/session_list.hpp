#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
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
/// held inline; the others, which most keys don't have, cost a pointer.
/// Thread safety: unsafe.
/// Complexity: O(1) for what concerns the newest only, else O(sessions).
template <class A>
class session_list {
    using session = session_of<A>;

public:
    session_list() = default;
    session_list(const session_list& other)
        : newest_(other.newest_),
          older_(other.older_ ? std::make_unique<std::vector<session>>(*other.older_) : nullptr) {}
    session_list(session_list&&) = default;
    session_list& operator=(session_list&&) = default;

    bool empty() const noexcept { return newest_.end == nothing; }
    std::size_t size() const noexcept { return (older_ ? older_->size() : 0) + !empty(); }
    /// Holds no time if there is none.
    session& newest() noexcept { return newest_; }

    /// The window that `opened` becomes together with the sessions that it overlaps or touches.
    window merged(window opened) const noexcept {
        for_each([&](const session& s) {
            if (s.start <= opened.end && opened.start <= s.end)
                opened = {std::min(s.start, opened.start), std::max(s.end, opened.end)};
        });
        return opened;
    }

    /// Has `add(A&)` take a record into the session for `opened`: a new one made by `create()`, or one that the
    /// sessions in its way are merged into, oldest first. Returns it; valid until the next change.
    /// Throws: what `add` and `merge` throw. If `undo`, and what threw has changed nothing itself, all is as before.
    template <class Agg, class Add>
    session& join(window opened, const Agg& agg, bool undo, Add add) {
        if (empty() || newest_.end < opened.start) {
            session s{opened.start, opened.end, agg.create()};
            add(s.value);
            append(std::move(s));
            return newest_;
        }
        std::vector<session>& all = older();
        all.push_back(std::move(newest_));
        const auto newest_again = [&] {
            newest_ = std::move(all.back());
            all.pop_back();
        };
        try {
            const std::size_t index = join_among(all, opened, agg, undo, add);
            const bool is_last = index + 1 == all.size();
            newest_again();
            return is_last ? newest_ : all[index];
        } catch (...) {
            newest_again();
            throw;
        }
    }

    /// Adds a session behind all others.
    void append(session s) {
        if (!empty()) older().push_back(std::move(newest_));
        newest_ = std::move(s);
    }

    /// Removes the sessions that are cleared at t.
    void drop_cleared(timestamp t, duration lateness) {
        const auto is_kept = [&](const session& s) { return session_cleared_at(s.end, lateness) > t; };
        if (older_) {
            older_->erase(older_->begin(), std::find_if(older_->begin(), older_->end(), is_kept));
            if (older_->empty()) older_.reset();
        }
        if (!older_ && !empty() && !is_kept(newest_)) newest_ = none();
    }

    /// Calls `f(session)` in order of time.
    template <class F>
    void for_each(F f) const {
        if (older_)
            for (const session& s : *older_) f(s);
        if (!empty()) f(newest_);
    }

    /// The session that is due at t; nullptr if none is.
    const session* due(timestamp t) const noexcept {
        const session* found = nullptr;
        for_each([&](const session& s) {
            if (session_due_at(s.end) == t) found = &s;
        });
        return found;
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
    /// The end of the newest session if there is none: no session ends there.
    static constexpr timestamp nothing = timestamp::min();

    static session none() { return {timestamp::max(), nothing, A()}; }

    /// See `join`; returns where the session is.
    template <class Agg, class Add>
    static std::size_t join_among(std::vector<session>& all, window opened, const Agg& agg, bool undo, Add add) {
        const auto begin = std::find_if(all.begin(), all.end(),
                                        [&](const session& s) { return s.end >= opened.start; });
        const auto end = std::find_if(begin, all.end(), [&](const session& s) { return s.start > opened.end; });
        const auto index = static_cast<std::size_t>(begin - all.begin());
        if (begin == end) {
            session s{opened.start, opened.end, agg.create()};
            add(s.value);
            all.insert(begin, std::move(s));
            return index;
        }
        std::optional<A> before;
        if (undo && end - begin > 1) before = begin->value;
        try {
            for (auto next = begin + 1; next != end; ++next) agg.merge(begin->value, next->value);
            add(begin->value);
        } catch (...) {
            if (before) begin->value = std::move(*before);
            throw;
        }
        begin->start = std::min(begin->start, opened.start);
        begin->end = std::max((end - 1)->end, opened.end);
        all.erase(begin + 1, end);
        return index;
    }

    std::vector<session>& older() {
        if (!older_) older_ = std::make_unique<std::vector<session>>();
        return *older_;
    }

    session newest_ = none();
    std::unique_ptr<std::vector<session>> older_;
};

}  // namespace runnel::detail
