#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel::test {

/// Takes in a record; a `timed` one together with its time.
template <class Agg, class T>
void take(const Agg& agg, accumulator_of<Agg>& a, const T& record) {
    add_record(agg, a, record, timestamp());
}
template <class Agg, class T>
void take(const Agg& agg, accumulator_of<Agg>& a, const timed<T>& record) {
    add_record(agg, a, record.value, record.time);
}

/// The accumulator as it is after having been saved and loaded.
template <class A>
A saved_and_loaded(const A& a) {
    std::string bytes;
    codec<A>::encode(a, bytes);
    byte_reader in(bytes);
    A loaded = codec<A>::decode(in);
    REQUIRE(in.empty());
    return loaded;
}

/// Result of records added one after the other.
template <class Agg, class T>
auto in_one(const Agg& agg, const std::vector<T>& records) {
    auto a = agg.create();
    for (const T& r : records) take(agg, a, r);
    return agg.result(a);
}

/// Result of records cut into random parts that are merged in random neighbours' pairs; some parts are saved and
/// loaded in between.
template <class Agg, class T>
auto in_parts_in_order(const Agg& agg, const std::vector<T>& records, std::mt19937_64& random) {
    std::vector<accumulator_of<Agg>> parts(1, agg.create());
    for (const T& r : records) {
        if (random() % 3 == 0) parts.push_back(agg.create());
        take(agg, parts.back(), r);
    }
    while (parts.size() > 1) {
        const std::size_t i = random() % (parts.size() - 1);
        agg.merge(parts[i], parts[i + 1]);
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        if (random() % 4 == 0) parts[i] = saved_and_loaded(parts[i]);
    }
    return agg.result(parts.front());
}

/// The same for the records in a random order.
template <class Agg, class T>
auto in_parts(const Agg& agg, std::vector<T> records, std::mt19937_64& random) {
    std::shuffle(records.begin(), records.end(), random);
    return in_parts_in_order(agg, records, random);
}

/// `make(random)` gives a record; `check(records, random)` is called for many lists of them.
template <class Make, class Check>
void for_random_records(Make make, Check check) {
    for (std::uint64_t seed = 1; seed != 200; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        std::vector<decltype(make(random))> records;
        for (std::size_t n = 1 + random() % 40; n != 0; --n) records.push_back(make(random));
        check(records, random);
    }
}

/// The results of any grouping and order must be equal.
template <class Agg, class Make>
void check_grouping(const Agg& agg, Make make) {
    for_random_records(make, [&](const auto& records, auto& random) {
        const auto expected = in_one(agg, records);
        for (int i = 0; i != 5; ++i) REQUIRE(in_parts(agg, records, random) == expected);
    });
}

/// The results of any grouping must be equal, for an aggregate that goes by the order of arrival.
template <class Agg, class Make>
void check_grouping_in_order(const Agg& agg, Make make) {
    for_random_records(make, [&](const auto& records, auto& random) {
        const auto expected = in_one(agg, records);
        for (int i = 0; i != 5; ++i) REQUIRE(in_parts_in_order(agg, records, random) == expected);
    });
}

}  // namespace runnel::test
