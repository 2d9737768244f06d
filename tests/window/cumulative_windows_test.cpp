#include <doctest/doctest.h>

#include "differential.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::bag_result;
using test::event;

namespace {

template <class Spec>
auto make(const Spec& spec) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, bag{});
}
bag_result result(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values) {
    return {key, timestamp(start), timestamp(end), std::move(values)};
}
using results = std::vector<bag_result>;

struct some_side {};

}  // namespace

TEST_CASE("cumulative windows of a period begin together and end one step after the other") {
    test::driver d(make(cumulative(30ns, 10ns).drop_late()));
    d.record({1, 100}, 5);
    d.record({1, 101}, 25);
    d.watermark(9);
    CHECK(d.take() == results{result(1, 0, 10, {100})});
    d.watermark(19);
    CHECK(d.take() == results{result(1, 0, 20, {100})});
    d.finish();
    CHECK(d.take() == results{result(1, 0, 30, {100, 101})});
}

TEST_CASE("a cumulative window exists for a key from its first record in the period on") {
    test::driver d(make(cumulative(30ns, 10ns, -10ns).drop_late()));
    d.record({1, 100}, -5);
    d.record({2, 101}, 19);
    d.record({2, 102}, 20);
    d.finish();
    CHECK(d.take() == results{result(1, -10, 0, {100}), result(1, -10, 10, {100}), result(1, -10, 20, {100}),
                              result(2, -10, 20, {101}), result(2, 20, 30, {102}), result(2, 20, 40, {102}),
                              result(2, 20, 50, {102})});
}

TEST_CASE("a record that is late for the first cumulative windows counts for those that are kept") {
    test::driver d(make(cumulative(30ns, 10ns).drop_late().late_to(some_side{})));
    d.record({1, 100}, 5);
    d.watermark(9);
    d.record({1, 101}, 6);
    CHECK(d.late().empty());
    d.watermark(29);
    d.record({1, 102}, 6);
    CHECK(d.take() == results{result(1, 0, 10, {100}), result(1, 0, 20, {100, 101}), result(1, 0, 30, {100, 101})});
    CHECK(d.late().size() == 1);
}

TEST_CASE("a late record makes all complete cumulative windows that contain it and are kept fire again") {
    test::driver d(make(cumulative(30ns, 10ns).lateness(15ns)));
    d.record({1, 100}, 5);
    d.watermark(19);
    CHECK(d.take().size() == 2);
    d.record({1, 101}, 15);
    CHECK(d.take() == results{result(1, 0, 20, {100, 101})});
    d.record({1, 102}, 5);
    CHECK(d.take() == results{result(1, 0, 10, {100, 102}), result(1, 0, 20, {100, 101, 102})});
    d.watermark(24);
    d.record({1, 103}, 5);
    CHECK(d.take() == results{result(1, 0, 20, {100, 101, 102, 103})});
    d.finish();
    CHECK(d.take() == results{result(1, 0, 30, {100, 101, 102, 103})});
}

TEST_CASE("cumulative windows give what a list of raw records per window gives") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        std::mt19937_64 random(seed);
        const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % std::uint64_t(n)); };
        const std::int64_t step = 1 + below(20), max_size = step * (1 + below(6));
        const std::int64_t offset = below(2 * max_size - 1) - max_size + 1;
        const std::int64_t lateness = seed % 2 == 0 ? 0 : below(60);
        const test::drive_options options{.batch_size = seed % 3 == 0 ? 1u : 64u,
                                          .output_batch = 7,
                                          .refuse_every = seed % 4 == 0 ? 3u : 0u};
        INFO("seed " << seed << " max_size " << max_size << " step " << step << " offset " << offset << " lateness "
                     << lateness);
        const auto spec = cumulative(duration(max_size), duration(step), duration(offset))
                              .lateness(duration(lateness))
                              .late_to(some_side{});
        test::compare(make(spec), test::grid_oracle(test::cumulative_list(max_size, step, offset), lateness),
                      test::random_stream(random, {}), options, seed % 5 == 0 ? 20 : 0);
    }
}

TEST_CASE("cumulative windows of groups that were saved at different watermarks go on where each was") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        std::mt19937_64 random(seed);
        INFO("seed " << seed);
        const auto op = make(cumulative(24ns, 8ns).lateness(10ns).late_to(some_side{}));
        test::driver_group group(op, 3, {});
        const test::grid_oracle oracle(test::cumulative_list(24, 8, 0), 10);
        test::compare_apart(group, std::vector{oracle, oracle, oracle}, test::random_stream(random, {}));
    }
}
