#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "runnel/codec/binary.hpp"
#include "runnel/testing/grid.hpp"
#include "runnel/window/window_operator.hpp"
#include "tests/seeds.hpp"

namespace runnel::test {

using namespace runnel::testing;
using namespace std::chrono_literals;

struct click {
    std::int64_t user;
    int weight;
    friend bool operator==(const click&, const click&) = default;
    friend std::ostream& operator<<(std::ostream& out, const click& c) { return out << c.user << ':' << c.weight; }
};

/// Sum of the weights.
struct weights {
    std::int64_t create() const { return 0; }
    void add(std::int64_t& a, const click& c) const { a += c.weight; }
    void merge(std::int64_t& a, std::int64_t b) const { a += b; }
    std::int64_t result(std::int64_t a) const { return a; }
};

/// Stands for a place for late records.
struct somewhere {};

inline const auto user_of = [](const click& c) { return c.user; };
inline const auto user_name = [](const click& c) { return "user " + std::to_string(c.user); };

inline click make_click(std::mt19937_64& random) {
    return {static_cast<std::int64_t>(random() % 8), static_cast<int>(random() % 100)};
}

/// Scripts of different temper: hardly or very much out of order, few or many watermarks, times around zero.
inline script<click> clicks(std::uint64_t seed) {
    random_script_options o;
    o.records = 250;
    o.start = timestamp(-8s);
    o.watermark_percent = seed % 3 == 0 ? 40 : 4;
    o.disorder = seed % 2 == 0 ? 500ms : 8s;
    o.step = seed % 5 == 0 ? 3s : 150ms;
    return random_script<click>(seed, make_click, o);
}

template <class Key, class Spec, class Agg>
void check_in_all_ways(Key key, const Spec& spec, const Agg& aggregate, bool uneven_watermarks = true) {
    using K = std::remove_cvref_t<std::invoke_result_t<const Key&, const click&>>;
    const auto op = make_window_operator<K, click>(key, spec, aggregate);
    using Result = typename decltype(op)::output_type;
    grid_options<click, Result> options;
    options.group_of = group_by(key);
    options.result_key = order_by([](const Result& r) -> const K& { return r.key; });
    options.uneven_watermarks = uneven_watermarks;
#ifdef RUNNEL_SANITIZED
    options.parallelism = {1, 3};
#endif
    for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
        CAPTURE(spec.text());
        CAPTURE(seed);
        CHECK(run_grid(op, clicks(seed), options) > 39);
    }
}

}  // namespace runnel::test

template <>
struct runnel::codec<runnel::test::click> {
    static void encode(const test::click& c, std::string& out) {
        codec<std::int64_t>::encode(c.user, out);
        codec<int>::encode(c.weight, out);
    }
    static test::click decode(byte_reader& in) {
        const auto user = codec<std::int64_t>::decode(in);
        return {user, codec<int>::decode(in)};
    }
};
