#include "runnel/testing/grid.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

#include "runnel/codec/binary.hpp"
#include "runnel/window/approx_counts.hpp"
#include "runnel/window/approx_distinct.hpp"
#include "runnel/window/approx_quantile.hpp"
#include "runnel/window/best_by.hpp"
#include "runnel/window/collect.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/distinct_count.hpp"
#include "runnel/window/first_last.hpp"
#include "runnel/window/mean.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"
#include "runnel/window/variance.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

namespace {

struct click {
    std::int64_t user;
    int weight;
    friend bool operator==(const click&, const click&) = default;
    friend std::ostream& operator<<(std::ostream& out, const click& c) { return out << c.user << ':' << c.weight; }
};

}  // namespace

template <>
struct runnel::codec<click> {
    static void encode(const click& c, std::string& out) {
        codec<std::int64_t>::encode(c.user, out);
        codec<int>::encode(c.weight, out);
    }
    static click decode(byte_reader& in) {
        const auto user = codec<std::int64_t>::decode(in);
        return {user, codec<int>::decode(in)};
    }
};

namespace {

/// Stands for a place for late records.
struct somewhere {};

const auto user_of = [](const click& c) { return c.user; };
const auto name_of = [](const click& c) { return "user " + std::to_string(c.user); };

click make_click(std::mt19937_64& random) {
    return {static_cast<std::int64_t>(random() % 8), static_cast<int>(random() % 100)};
}

/// Scripts of different temper: hardly or very much out of order, few or many watermarks, times around zero.
script<click> clicks(std::uint64_t seed) {
    random_script_options o;
    o.records = 250;
    o.start = timestamp(-8s);
    o.watermark_percent = seed % 3 == 0 ? 40 : 4;
    o.disorder = seed % 2 == 0 ? 500ms : 8s;
    o.step = seed % 5 == 0 ? 3s : 150ms;
    return random_script<click>(seed, make_click, o);
}

template <class Key, class Spec, class Agg>
void check_in_all_ways(Key key, const Spec& spec, const Agg& aggregate) {
    using K = std::remove_cvref_t<std::invoke_result_t<const Key&, const click&>>;
    const auto op = make_window_operator<K, click>(key, spec, aggregate);
    using Result = typename decltype(op)::output_type;
    grid_options<click, Result> options;
    options.group_of = group_by(key);
    options.result_key = order_by([](const Result& r) -> const K& { return r.key; });
    options.uneven_watermarks = true;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(spec.text());
        CAPTURE(seed);
        CHECK(run_grid(op, clicks(seed), options) > 70);
    }
}

template <class Windows>
void check_all_kinds_of_lateness(const undecided_window_spec<Windows>& windows) {
    check_in_all_ways(user_of, windows.drop_late(), count());
    check_in_all_ways(user_of, windows.lateness(2s), combine(count(), sum(&click::weight)));
    check_in_all_ways(user_of, windows.lateness(30s).late_to(somewhere{}), sum(&click::weight));
    check_in_all_ways(name_of, windows.drop_late().late_to(somewhere{}), count());
}

}  // namespace

TEST_CASE("tumbling windows give the same in every way: results per key in order, late records, counts") {
    check_all_kinds_of_lateness(tumbling(1s));
    check_all_kinds_of_lateness(tumbling(5s, -2s));
}

TEST_CASE("sliding windows give the same in every way: results per key in order, late records, counts") {
    check_all_kinds_of_lateness(sliding(3s, 1s));
    check_all_kinds_of_lateness(sliding(5s, 2s, 1s));
}

TEST_CASE("sliding windows with gaps between them give the same in every way") {
    check_all_kinds_of_lateness(sliding(1s, 3s));
}

TEST_CASE("sessions give the same in every way: results per key in order, late records, counts") {
    check_all_kinds_of_lateness(session(300ms));
    check_all_kinds_of_lateness(session(1500ms));
}

template <class Agg>
void check_in_all_windows(const Agg& aggregate) {
    check_in_all_ways(user_of, tumbling(2s).lateness(1s), aggregate);
    check_in_all_ways(user_of, sliding(2s, 500ms).lateness(1s), aggregate);
    check_in_all_ways(name_of, session(500ms).lateness(1s), aggregate);
}

TEST_CASE("aggregates with larger states give the same in every way") {
    check_in_all_windows(combine(top(3, &click::weight), bottom(3, &click::weight), min(&click::weight),
                                 max(&click::weight), mean(&click::weight), population_variance(&click::weight)));
    check_in_all_windows(combine(sum(&click::weight).saturating(), distinct_count(&click::weight)));
}

TEST_CASE("aggregates that go by time and pick records give the same in every way") {
    check_in_all_windows(combine(first(), last(), min_by(&click::weight), max_by(&click::weight)));
    check_in_all_windows(collect(&click::weight));
}

TEST_CASE("sketches give the same in every way") {
    check_in_all_windows(combine(approx_distinct(&click::weight, 5), approx_quantiles({0.1, 0.5}, &click::weight)));
    check_in_all_windows(approx_counts(&click::weight, {.epsilon = 0.3, .delta = 0.1}));
}
