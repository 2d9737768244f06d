#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel::test {

/// Result of records added one after the other.
template <class Agg, class T>
auto in_one(const Agg& agg, const std::vector<T>& records) {
    auto a = agg.create();
    for (const T& r : records) agg.add(a, r);
    return agg.result(a);
}

/// Result of records in a random order, cut into random parts that are merged in random pairs; some parts are saved
/// and loaded in between.
template <class Agg, class T>
auto in_parts(const Agg& agg, std::vector<T> records, std::mt19937_64& random) {
    std::shuffle(records.begin(), records.end(), random);
    std::vector<accumulator_of<Agg>> parts(1, agg.create());
    for (const T& r : records) {
        if (random() % 3 == 0) parts.push_back(agg.create());
        agg.add(parts.back(), r);
    }
    while (parts.size() > 1) {
        const std::size_t i = random() % (parts.size() - 1);
        agg.merge(parts[i], parts[i + 1]);
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        if (random() % 4 == 0) {
            std::string bytes;
            codec<accumulator_of<Agg>>::encode(parts[i], bytes);
            byte_reader in(bytes);
            parts[i] = codec<accumulator_of<Agg>>::decode(in);
            REQUIRE(in.empty());
        }
    }
    return agg.result(parts.front());
}

/// `make()` gives a record; the results of any grouping and order must be equal.
template <class Agg, class Make>
void check_grouping(const Agg& agg, Make make) {
    for (std::uint64_t seed = 1; seed != 200; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        std::vector<decltype(make(random))> records;
        for (std::size_t n = 1 + random() % 40; n != 0; --n) records.push_back(make(random));
        const auto expected = in_one(agg, records);
        for (int i = 0; i != 5; ++i) REQUIRE(in_parts(agg, records, random) == expected);
    }
}

}  // namespace runnel::test
