#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/window/timed_list.hpp"
#include "runnel/window/window.hpp"

namespace runnel {

namespace detail {

/// Stands for "no evictor".
struct no_evictor {};

/// Keeps all records of a window; the result is in order of time, equal times in order of arrival.
template <class T, class Evictor = no_evictor>
class keep_records {
public:
    static constexpr bool creates_default = true;

    explicit keep_records(Evictor evictor = {}) : evictor_(std::move(evictor)) {}

    timed_list<T> create() const { return {}; }
    void add(timed_list<T>& all, const T& record, timestamp t) const { all.push_back({record, t}); }
    void merge(timed_list<T>& all, const timed_list<T>& later) const { all.append(later); }
    std::vector<timed<T>> result(const timed_list<T>& all) const {
        std::vector<timed<T>> sorted = all.to_vector();
        sort(sorted);
        return sorted;
    }
    /// Removes what the evictor does not want to be seen, for good.
    void before_firing(timed_list<T>& all, const window& span) const
        requires(!std::is_same_v<Evictor, no_evictor>)
    {
        std::vector<timed<T>> records = all.to_vector();
        sort(records);
        std::invoke(evictor_, records, span);
        timed_list<T> left;
        for (timed<T>& r : records) left.push_back(std::move(r));
        all = std::move(left);
    }

private:
    static void sort(std::vector<timed<T>>& records) {
        const auto earlier = [](const timed<T>& a, const timed<T>& b) { return a.time < b.time; };
        if (!std::is_sorted(records.begin(), records.end(), earlier))
            std::stable_sort(records.begin(), records.end(), earlier);
    }

    [[no_unique_address]] Evictor evictor_;
};

struct last_records {
    std::size_t n;
    template <class T>
    void operator()(std::vector<timed<T>>& records, const window&) const {
        if (records.size() > n) records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(n));
    }
};

struct recent_records {
    duration d;
    template <class T>
    void operator()(std::vector<timed<T>>& records, const window&) const {
        if (records.empty()) return;
        const timestamp from = records.back().time - d;
        std::erase_if(records, [&](const timed<T>& r) { return r.time < from; });
    }
};

}  // namespace detail

// An evictor looks at the records of a window, a std::vector<timed<T>> in order of time, before the window fires, and
// removes those that the window shall give no more: `void operator()(std::vector<timed<T>>&, const window&) const`.

/// Keeps the last n records by time.
inline detail::last_records keep_last(std::size_t n) { return {n}; }
/// Keeps the records that are at most `d` older than the newest.
inline detail::recent_records keep_recent(duration d) { return {d}; }

}  // namespace runnel
