#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/inline_list.hpp"
#include "runnel/window/kept_window.hpp"
#include "runnel/window/window.hpp"

namespace runnel::detail {

/// The windows of one key that are kept each by itself, by end, then start.
/// Thread safety: unsafe.
template <class A, class Memory>
class kept_windows : public inline_list<kept_window<A, Memory>> {
    using kept = kept_window<A, Memory>;
    using list = inline_list<kept>;

public:
    /// Has `f(kept&)` change the window for `span`, made by `make()` if there is none; returns it. Throws what `f`
    /// throws, and then there is no new window.
    template <class Make, class F>
    kept& change(const window& span, Make make, F f) {
        kept* const at = place_of(span);
        if (at == this->end() || at->span() != span) return add(at, make, f);
        f(*at);
        return *at;
    }

    /// The same with all sessions that `span` touches made one by `join(first, last, span)`. Throws what these throw;
    /// if `undo`, the sessions are then as before.
    template <class Make, class Join, class F>
    kept& change_joined(const window& span, bool undo, Make make, Join join, F f) {
        const auto touches = [&](const kept& x) { return x.touches(span); };
        kept* const first = std::find_if(this->begin(), this->end(), touches);
        if (first == this->end()) return add(place_of(span), make, f);
        kept* const last = std::find_if_not(first, this->end(), touches);
        std::optional<list> all;
        if (undo && last - first > 1) all.emplace(*this);
        const window one = first->span();
        const bool closed = first->closed, on_time = first->on_time;
        const timestamp fire_at = first->fire_at;
        try {
            join(first, last, merged_with(*this, span));
            this->erase(first + 1, last);
            f(*first);
            return *first;
        } catch (...) {
            if (all) {
                static_cast<list&>(*this) = std::move(*all);
            } else {
                // Of a session that takes in no other only this changes.
                first->start = one.start;
                first->end = one.end;
                first->closed = closed;
                first->on_time = on_time;
                first->fire_at = fire_at;
            }
            throw;
        }
    }

private:
    kept* place_of(const window& span) {
        const auto before = [](const kept& x, const window& y) {
            return std::pair(x.end, x.start) < std::pair(y.end, y.start);
        };
        return std::lower_bound(this->begin(), this->end(), span, before);
    }
    template <class Make, class F>
    kept& add(kept* at, Make& make, F& f) {
        kept made = make();
        f(made);
        return *this->insert(at, std::move(made));
    }
};

}  // namespace runnel::detail
