#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/testing/grid_way.hpp"
#include "runnel/testing/value_text.hpp"

namespace runnel::detail {

using testing::grid_mismatch;
using testing::text_of;

template <class T>
using result_equality = std::function<bool(const T&, const T&)>;

/// By `==`; values of a type that has none are all alike, so that only their number and times are compared.
template <class T>
result_equality<T> usual_equality() {
    if constexpr (std::equality_comparable<T>) return std::equal_to<>();
    else return [](const T&, const T&) { return true; };
}

/// What has come too much and too little, compared as multisets.
template <class T>
grid_mismatch compare_sets(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                           const result_equality<T>& equal) {
    std::multimap<timestamp, const timed<T>*> open;
    for (const timed<T>& r : expected) open.emplace(r.time, &r);
    grid_mismatch m;
    for (const timed<T>& r : got) {
        auto [it, last] = open.equal_range(r.time);
        while (it != last && !equal(it->second->value, r.value)) ++it;
        if (it != last) open.erase(it);
        else m.unexpected.push_back(text_of(r));
    }
    for (const auto& [time, r] : open) m.missing.push_back(text_of(*r));
    return m;
}

/// The first place where the two differ.
template <class T>
grid_mismatch compare_order(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                            const result_equality<T>& equal) {
    for (std::size_t i = 0; i < expected.size() || i < got.size(); ++i) {
        if (i < expected.size() && i < got.size() && expected[i].time == got[i].time &&
            equal(expected[i].value, got[i].value))
            continue;
        grid_mismatch m;
        const std::string place = "as number " + std::to_string(i) + ": ";
        if (i < expected.size()) m.missing.push_back(place + text_of(expected[i]));
        if (i < got.size()) m.unexpected.push_back(place + text_of(got[i]));
        return m;
    }
    return {};
}

template <class T>
grid_mismatch compare_order_by_key(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                                   const result_equality<T>& equal, const std::function<std::string(const T&)>& key) {
    std::map<std::string, std::pair<std::vector<timed<T>>, std::vector<timed<T>>>> of;
    for (const timed<T>& r : expected) of[key(r.value)].first.push_back(r);
    for (const timed<T>& r : got) of[key(r.value)].second.push_back(r);
    for (const auto& [k, both] : of)
        if (grid_mismatch m = compare_order(both.first, both.second, equal); !m.empty()) return m;
    return {};
}

}  // namespace runnel::detail
