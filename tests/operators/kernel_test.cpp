#include "runnel/operators/kernel.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/operators/operator_stage.hpp"
#include "runnel/testing/recording.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tracked.hpp"

using namespace runnel;
using testing::recorder;
using tests::tracked;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

template <class F>
map_step<F> map(F f) {
    return {f};
}
template <class F>
filter_step<F> filter(F f) {
    return {f};
}
template <class F>
peek_step<F> peek(F f) {
    return {f};
}
template <class F>
flat_map_step<F> flat_map(F f) {
    return {f};
}

template <class In, class... Steps>
kernel<In, Steps...> fuse(Steps... steps) {
    return {std::tuple<Steps...>(std::move(steps)...), {Steps::kind...}};
}

/// Has the kernel take `in`, in batches of `in_size`, and gives what comes out.
template <class Kernel>
struct driven {
    using In = typename Kernel::input_type;
    recorder<typename Kernel::output_type> out;
    operator_stage<Kernel> stage;

    driven(Kernel k, std::size_t batch_size) : stage(std::move(k)) {
        stage.connect(0, out, batch_size);
        operator_context context;
        context.name = "the kernel";
        context.subtask = 3;
        stage.open(context);
    }
    void push(batch<In>& b) {
        while (stage.input(0).on_any_batch(b) == progress::blocked) {
        }
    }
    void push(std::vector<timed<In>> records) {
        batch<In> b;
        for (auto& r : records) b.append(std::move(r.value), r.time);
        push(b);
    }
    void flush() {
        while (stage.input(0).flush() == progress::blocked) {
        }
    }
};

}  // namespace

TEST_CASE("fused steps give what the steps one by one would, at each record's time, in order, for any batch size") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        int seen = 0;
        auto chain = fuse<int>(map([](int x) { return x * 3; }), filter([](int x) { return x % 2 == 0; }),
                               peek([&seen](int) { ++seen; }), map([](int x) { return std::to_string(x); }));
        auto wide = fuse<int>(flat_map([](int x) { return std::vector<int>(static_cast<std::size_t>(x % 4), x); }),
                              map([](int x) { return x + 1; }));
        driven few(chain, 1 + random.below(9));
        driven many(wide, 1 + random.below(9));
        if (random.chance(70)) {
            few.out.refuse_at_random(random.seed(), 50);
            many.out.refuse_at_random(random.seed(), 50);
        }
        std::vector<timed<std::string>> expected_few;
        std::vector<timed<int>> expected_many;
        for (int round = 0; round < 10; ++round) {
            std::vector<timed<int>> in;
            const std::size_t n = 1 + random.below(20);
            for (std::size_t i = 0; i < n; ++i) {
                in.push_back({static_cast<int>(random.below(100)), at(random.between(-50, 50))});
                const auto [x, t] = in.back();
                if (x * 3 % 2 == 0) expected_few.push_back({std::to_string(x * 3), t});
                for (int k = 0; k < x % 4; ++k) expected_many.push_back({x + 1, t});
            }
            few.push(in);
            many.push(in);
        }
        few.flush();
        many.flush();
        REQUIRE(few.out.records() == expected_few);
        REQUIRE(many.out.records() == expected_many);
        REQUIRE(seen == static_cast<int>(expected_few.size()));
    }
}

TEST_CASE("records that can only be moved pass through, and each is destroyed once") {
    driven d(fuse<std::unique_ptr<int>>(filter([](const std::unique_ptr<int>& p) { return *p != 2; }),
                                        map([](std::unique_ptr<int> p) {
                                            ++*p;
                                            return p;
                                        })),
             2);
    batch<std::unique_ptr<int>> b;
    for (int i = 1; i <= 5; ++i) b.append(std::make_unique<int>(i), at(i));
    d.push(b);
    d.flush();
    REQUIRE(d.out.records().size() == 4);
    CHECK(*d.out.records()[0].value == 2);
    CHECK(*d.out.records()[3].value == 6);
}

TEST_CASE("a flat_map may return a range of its own or one that it keeps, whose elements stay as they are") {
    static std::vector<std::string> kept{"a value that is moved if somebody moves it", "another one of that kind"};
    driven by_reference(fuse<int>(flat_map([](int) -> std::vector<std::string>& { return kept; })), 10);
    by_reference.push({{1, at(1)}, {2, at(2)}});
    by_reference.flush();
    CHECK(by_reference.out.records().size() == 4);
    CHECK(by_reference.out.records()[2].value == kept[0]);
    CHECK(kept[0].size() > 10);

    driven by_value(fuse<int>(flat_map([](int n) {
                        std::vector<std::unique_ptr<int>> all;
                        for (int i = 0; i < n; ++i) all.push_back(std::make_unique<int>(i));
                        return all;
                    })),
                    10);
    by_value.push({{3, at(7)}});
    by_value.flush();
    REQUIRE(by_value.out.records().size() == 3);
    CHECK(*by_value.out.records()[2].value == 2);
    CHECK(by_value.out.records()[2].time == at(7));
}

TEST_CASE("a batch on its way out holds no more than the batch size and the results of one record") {
    struct sizes final : receiver<int> {
        std::size_t largest = 0;
        progress on_batch(batch<int>& records) override {
            largest = std::max(largest, records.size());
            return progress::done;
        }
        progress on_watermark(timestamp) override { return progress::done; }
        progress on_activity(activity) override { return progress::done; }
        progress on_barrier(checkpoint_id) override { return progress::done; }
        progress flush() override { return progress::done; }
    } out;
    auto chain = fuse<int>(flat_map([](int n) { return std::vector<int>(static_cast<std::size_t>(n), n); }));
    operator_stage<decltype(chain)> stage(chain);
    stage.connect(0, out, 8);
    stage.open({});
    batch<int> b;
    for (int i = 0; i < 1000; ++i) b.append(5, at(i));
    CHECK(stage.input(0).on_any_batch(b) == progress::done);
    CHECK(stage.input(0).flush() == progress::done);
    CHECK(out.largest <= 8 + 5);
}

TEST_CASE("a receiver may keep the columns of every batch") {
    struct keeper final : receiver<std::string> {
        std::vector<batch<std::string>> kept;
        progress on_batch(batch<std::string>& records) override {
            kept.emplace_back();
            kept.back().swap(records);
            return progress::done;
        }
        progress on_watermark(timestamp) override { return progress::done; }
        progress on_activity(activity) override { return progress::done; }
        progress on_barrier(checkpoint_id) override { return progress::done; }
        progress flush() override { return progress::done; }
    } out;
    auto chain = fuse<int>(map([](int i) { return std::to_string(i); }));
    operator_stage<decltype(chain)> stage(chain);
    stage.connect(0, out, 7);
    stage.open({});
    batch<int> b;
    for (int i = 0; i < 100; ++i) b.append(i, at(i));
    CHECK(stage.input(0).on_any_batch(b) == progress::done);
    CHECK(stage.input(0).flush() == progress::done);
    int next = 0;
    for (const auto& part : out.kept)
        for (std::size_t i = 0; i < part.size(); ++i) CHECK(part.value(i) == std::to_string(next++));
    CHECK(next == 100);
}

TEST_CASE("a function that throws is named by its step, subtask and record time, with the cause nested") {
    const std::vector<std::string> names{"parse", "is valid", "look", "convert"};
    for (std::size_t step = 0; step < 4; ++step) {
        auto check = [step](std::size_t here, int x) {
            if (here == step && x == 5) throw std::invalid_argument("five is not liked");
        };
        auto steps = std::tuple(map([check](int x) { return check(0, x), x; }),
                                filter([check](int x) { return check(1, x), true; }), peek([check](int x) { check(2, x); }),
                                map([check](int x) { return check(3, x), x; }));
        [&]<class... Steps>(std::tuple<Steps...> all) {
            driven d(kernel<int, Steps...>(std::move(all), names), 100);
            batch<int> b;
            for (int i = 0; i < 10; ++i) b.append(i, at(100 + i));
            try {
                d.push(b);
                FAIL("nothing was thrown");
            } catch (const job_error& e) {
                CHECK(e.operator_name() == names[step]);
                CHECK(e.subtask() == 3);
                CHECK(e.record_time() == at(105));
                CHECK(std::string(e.what()).find("five is not liked") != std::string::npos);
                CHECK_THROWS_WITH_AS(std::rethrow_if_nested(e), "five is not liked", std::invalid_argument);
            }
            CHECK(b.cursor() == 5);
        }(steps);
    }
}

TEST_CASE("an exception in a flat_map is named like any other") {
    driven d(fuse<int>(map([](int x) { return x; }), flat_map([](int x) -> std::vector<int> {
                           if (x == 2) throw 42;
                           return {x};
                       })),
             4);
    try {
        d.push({{1, at(1)}, {2, at(-2)}});
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "flat_map");
        CHECK(e.record_time() == at(-2));
        CHECK_THROWS_AS(std::rethrow_if_nested(e), int);
    }
}

TEST_CASE("whatever is thrown in the middle of a batch, nothing leaks and nothing is destroyed twice") {
    for (int n = 0; n < 40; ++n) {
        CAPTURE(n);
        {
            driven straight(fuse<tracked>(map([](tracked&& t) { return std::move(t); }),
                                          filter([](const tracked& t) { return t.value() % 3 != 0; }),
                                          map([](const tracked& t) { return tracked(t.value() + 1); })),
                            4);
            driven wide(fuse<tracked>(flat_map([](const tracked& t) { return std::vector<tracked>(2, t); })), 4);
            batch<tracked> b(8);
            for (int i = 0; i < 8; ++i) b.append(tracked(i), at(i));
            batch<tracked> c(b);
            tracked::throw_after = n;
            try {
                straight.push(b);
            } catch (const job_error&) {
            }
            tracked::throw_after = n;
            try {
                wide.push(c);
            } catch (const job_error&) {
            }
            tracked::throw_after = -1;
        }
        REQUIRE(tracked::living == 0);
    }
}
