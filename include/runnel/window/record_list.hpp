#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/window/window.hpp"

namespace runnel {

namespace detail {

/// The records of a window, as `process_window` keeps them.
template <class T>
struct record_list {
    std::vector<timed<T>> records;
};

/// Stands for "no evictor".
struct no_evictor {};

/// Keeps all records of a window; the result is in order of time, equal times in order of arrival.
template <class T, class Evictor = no_evictor>
class keep_records {
public:
    static constexpr bool creates_default = true;

    explicit keep_records(Evictor evictor = {}) : evictor_(std::move(evictor)) {}

    record_list<T> create() const { return {}; }
    void add(record_list<T>& all, const T& record, timestamp t) const { all.records.push_back({record, t}); }
    void merge(record_list<T>& all, const record_list<T>& later) const {
        all.records.insert(all.records.end(), later.records.begin(), later.records.end());
    }
    std::vector<timed<T>> result(const record_list<T>& all) const {
        std::vector<timed<T>> sorted = all.records;
        sort(sorted);
        return sorted;
    }
    /// Removes what the evictor does not want to be seen, for good.
    void before_firing(record_list<T>& all, const window& span) const
        requires(!std::is_same_v<Evictor, no_evictor>)
    {
        sort(all.records);
        std::invoke(evictor_, all.records, span);
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

template <class T>
    requires encodable<T>
struct codec<detail::record_list<T>> {
    static void encode(const detail::record_list<T>& all, std::string& out) {
        encode_size(all.records.size(), out);
        for (const timed<T>& r : all.records) {
            codec<T>::encode(r.value, out);
            codec<timestamp>::encode(r.time, out);
        }
    }
    static detail::record_list<T> decode(byte_reader& in) {
        detail::record_list<T> all;
        for (std::size_t n = in.take_size(sizeof(timestamp)); n != 0; --n) {
            T value = codec<T>::decode(in);
            all.records.push_back({std::move(value), codec<timestamp>::decode(in)});
        }
        return all;
    }
    static auto layout(layout_builder& to) { return to.add<std::vector<std::pair<T, timestamp>>>(); }
};

}  // namespace runnel
