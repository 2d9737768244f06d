#include "runnel/operators/split.hpp"

#include <doctest/doctest.h>

#include "runnel/operators/operator_stage.hpp"
#include "runnel/testing/recording.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using testing::recorder;

TEST_CASE("each record goes to one of the two outputs, in order, at its time") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        auto is_small = [](int x) { return x < 50; };
        operator_stage<split_operator<int, decltype(is_small)>> stage{split_operator<int, decltype(is_small)>(is_small)};
        recorder<int> small;
        recorder<int> rest;
        small.refuse_at_random(random.seed(), 40);
        rest.refuse_at_random(random.seed(), 40);
        stage.connect(0, small, 1 + random.below(5));
        stage.connect(1, rest, 1 + random.below(5));
        stage.open({});
        std::vector<timed<int>> expected_small;
        std::vector<timed<int>> expected_rest;
        for (int round = 0; round < 5; ++round) {
            batch<int> b;
            for (int i = 0; i < 20; ++i) {
                const timed<int> r{static_cast<int>(random.below(100)), timestamp(random.between(-9, 9))};
                (r.value < 50 ? expected_small : expected_rest).push_back(r);
                b.append(r.value, r.time);
            }
            while (stage.input(0).on_any_batch(b) == progress::blocked) {
            }
        }
        while (stage.input(0).on_watermark(timestamp::max()) == progress::blocked) {
        }
        REQUIRE(small.records() == expected_small);
        REQUIRE(rest.records() == expected_rest);
        REQUIRE(small.is_finished());
        REQUIRE(rest.is_finished());
    }
}
