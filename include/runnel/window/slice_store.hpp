#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
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
    /// Indices of records of the batch in hand that are still to be put in.
    std::vector<std::uint32_t> waiting;
};

/// The live slices in order of time. Tables of dropped slices serve new ones.
///
/// Thread safety: unsafe.
/// Complexity: find O(1) if the slices lie close together, else O(log slices); insert O(1) at the end; drop amortised
/// O(1).
/// Lifetime: a slice stays where it is until it is dropped.
template <class K, class A>
class slice_store {
    using slice_type = slice<K, A>;

public:
    /// `slices_per_tick`: of a stretch of time without gaps; tells where to look first.
    explicit slice_store(double slices_per_tick) : slices_per_tick_(slices_per_tick) {}

    /// The slice that holds t; nullptr if there is none. `find` suits times that mostly stay in one slice; `locate`
    /// those that jump, where looking at the last slice first would only make a branch that can't be predicted.
    slice_type* find(timestamp t) noexcept {
        return recent_ && recent_->span.holds(t) ? recent_ : recent_ = locate(t);
    }
    slice_type* locate(timestamp t) noexcept {
        if (empty() || t < front().span.first) return nullptr;
        const auto distance = static_cast<std::uint64_t>(t.ns()) - static_cast<std::uint64_t>(front().span.first.ns());
        const double guess = static_cast<double>(distance) * slices_per_tick_;
        std::size_t i = live_.size() - 1;
        if (guess < static_cast<double>(i - head_)) i = head_ + static_cast<std::size_t>(guess);
        if (!live_[i]->span.holds(t)) {
            i = after(t) - 1;
            if (live_[i]->span.last < t) return nullptr;
        }
        return live_[i].get();
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
    double slices_per_tick_;
};

}  // namespace runnel::detail
