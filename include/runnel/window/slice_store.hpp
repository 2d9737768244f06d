#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runnel/state/table.hpp"
#include "runnel/window/slicing.hpp"

namespace runnel::detail {

/// The records of one slice of time: an accumulator per key.
template <class K, class A>
struct slice {
    slice_span span;
    table<K, A> keys;
};

/// The live slices in order of time. Tables of dropped slices serve new ones.
///
/// Thread safety: unsafe.
/// Complexity: find O(log slices), O(1) for the slice found last; insert O(1) at the end; drop amortised O(1).
/// Lifetime: a slice stays where it is until it is dropped.
template <class K, class A>
class slice_store {
    using slice_type = slice<K, A>;

public:
    /// The slice that holds t; nullptr if there is none.
    slice_type* find(timestamp t) noexcept {
        if (recent_ && recent_->span.first <= t && t <= recent_->span.last) return recent_;
        const std::size_t i = after(t);
        if (i == head_ || live_[i - 1]->span.last < t) return nullptr;
        return recent_ = live_[i - 1].get();
    }

    /// A new, empty slice; there is none yet at its time.
    slice_type& insert(const slice_span& span) {
        std::unique_ptr<slice_type> made;
        if (spare_.empty()) {
            made = std::make_unique<slice_type>();
        } else {
            made = std::move(spare_.back());
            spare_.pop_back();
        }
        made->span = span;
        const auto place = live_.begin() + static_cast<std::ptrdiff_t>(after(span.first));
        return *(recent_ = live_.insert(place, std::move(made))->get());
    }

    /// Index of the first slice that begins at `from` or later.
    std::size_t index_from(wide from) const noexcept {
        const auto begin = live_.begin() + static_cast<std::ptrdiff_t>(head_);
        const auto before = [](const auto& s, wide t) { return s->span.first.ns() < t; };
        return static_cast<std::size_t>(std::lower_bound(begin, live_.end(), from, before) - live_.begin());
    }
    std::size_t begin_index() const noexcept { return head_; }
    std::size_t end_index() const noexcept { return live_.size(); }
    slice_type& operator[](std::size_t index) noexcept { return *live_[index]; }
    const slice_type& operator[](std::size_t index) const noexcept { return *live_[index]; }

    bool empty() const noexcept { return head_ == live_.size(); }
    slice_type& front() noexcept { return *live_[head_]; }

    void drop_front() {
        std::unique_ptr<slice_type>& gone = live_[head_];
        if (recent_ == gone.get()) recent_ = nullptr;
        if (spare_.size() < max_spares) {
            gone->keys.clear();
            spare_.push_back(std::move(gone));
        } else {
            gone.reset();
        }
        if (++head_ * 2 >= live_.size()) {
            live_.erase(live_.begin(), live_.begin() + static_cast<std::ptrdiff_t>(head_));
            head_ = 0;
        }
    }

private:
    static constexpr std::size_t max_spares = 4;

    /// Index of the first slice that begins after t.
    std::size_t after(timestamp t) const noexcept {
        const auto begin = live_.begin() + static_cast<std::ptrdiff_t>(head_);
        const auto later = [](timestamp x, const auto& s) { return x < s->span.first; };
        return static_cast<std::size_t>(std::upper_bound(begin, live_.end(), t, later) - live_.begin());
    }

    std::vector<std::unique_ptr<slice_type>> live_;  // those before head_ are gone
    std::size_t head_ = 0;
    std::vector<std::unique_ptr<slice_type>> spare_;
    slice_type* recent_ = nullptr;
};

}  // namespace runnel::detail
