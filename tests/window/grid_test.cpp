#include "window_grid.hpp"

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

using namespace runnel;
using namespace runnel::test;
using namespace std::chrono_literals;

namespace {

template <class Windows>
void check_all_kinds_of_lateness(const undecided_window_spec<Windows>& windows) {
    check_in_all_ways(user_of, windows.drop_late(), count());
    check_in_all_ways(user_of, windows.lateness(2s), combine(count(), sum(&click::weight)));
    check_in_all_ways(user_of, windows.lateness(30s).late_to(somewhere{}), sum(&click::weight));
    check_in_all_ways(user_name, windows.drop_late().late_to(somewhere{}), count());
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

TEST_CASE("cumulative windows give the same in every way: results per key in order, late records, counts") {
    check_all_kinds_of_lateness(cumulative(6s, 2s));
    check_all_kinds_of_lateness(cumulative(4s, 500ms, 1s));
    check_all_kinds_of_lateness(cumulative(3s, 3s));
}

TEST_CASE("sessions give the same in every way: results per key in order, late records, counts") {
    check_all_kinds_of_lateness(session(300ms));
    check_all_kinds_of_lateness(session(1500ms));
}

template <class Agg>
void check_in_all_windows(const Agg& aggregate) {
    check_in_all_ways(user_of, tumbling(2s).lateness(1s), aggregate);
    check_in_all_ways(user_of, sliding(2s, 500ms).lateness(1s), aggregate);
    check_in_all_ways(user_name, session(500ms).lateness(1s), aggregate);
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
