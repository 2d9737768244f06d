#include "runnel/operators/operator_stage.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/testing/recording.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using testing::recorder;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// What was called on the operator of a test, in words.
using call_log = std::shared_ptr<std::vector<std::string>>;

/// Record by record, with a side output, and something to do when event time advances.
struct summing {
    using input_type = int;
    using output_type = std::string;
    using side_types = std::tuple<int, double>;

    call_log calls = std::make_shared<std::vector<std::string>>();
    int open_windows = 3;
    output<int>* odd = nullptr;
    output<double>* half = nullptr;

    void open(const operator_context& context, output<int>& first, output<double>& second) {
        calls->push_back("open " + context.name + " " + std::to_string(context.subtask));
        odd = &first;
        half = &second;
    }
    void on_record(int&& x, timestamp t, output<std::string>& out) {
        if (x == 13) throw std::domain_error("unlucky");
        if (x % 2 != 0) odd->emit(x, t);
        half->emit(x / 2.0, t);
        out.emit(std::to_string(x), t);
    }
    /// Emits one result a call, as an operator does that minds `ready()`.
    progress advance(timestamp w, output<std::string>& out) {
        if (w == at(666)) throw std::domain_error("evil");
        while (open_windows > 0) {
            if (!out.ready()) return progress::blocked;
            out.emit("window " + std::to_string(open_windows--), w);
        }
        calls->push_back("advanced " + std::to_string(w.ns()));
        return progress::done;
    }
};

struct driven {
    recorder<std::string> out;
    recorder<int> odd;
    recorder<double> half;
    operator_metrics metrics;
    call_log calls;
    std::unique_ptr<operator_stage<summing>> stage;

    explicit driven(std::size_t batch_size, bool sides = true) {
        summing op;
        calls = op.calls;
        stage = std::make_unique<operator_stage<summing>>(op);
        stage->connect(0, out, batch_size);
        if (sides) {
            stage->connect(1, odd, batch_size);
            stage->connect(2, half, batch_size);
        }
        operator_context context;
        context.name = "sums";
        context.subtask = 2;
        context.metrics = &metrics;
        stage->open(context);
    }
    receiver_base& in() { return stage->input(0); }
    void push(std::vector<timed<int>> records) {
        batch<int> b;
        for (const auto& r : records) b.append(r.value, r.time);
        while (in().on_any_batch(b) == progress::blocked) {
        }
        CHECK(b.empty());
    }
    template <class F>
    void until_done(F call) {
        for (int i = 0; call() == progress::blocked; ++i) REQUIRE(i < 10'000);
    }
};

}  // namespace

TEST_CASE("an operator is opened with its context and its side outputs") {
    driven d(4);
    CHECK(*d.calls == std::vector<std::string>{"open sums 2"});
    CHECK(d.stage->outputs() == 3);
}

TEST_CASE("everything due at a watermark comes out before the watermark is forwarded") {
    driven d(100);
    d.push({{1, at(5)}});
    CHECK(d.in().on_watermark(at(7)) == progress::done);
    REQUIRE(d.out.records().size() == 4);
    CHECK(d.out.records()[3].value == "window 1");
    CHECK(d.out.signals() == std::vector<testing::arrived_signal>{
                                 {testing::arrived_signal::kind::watermark, at(7), 0, 4}});
    CHECK(d.odd.watermarks() == std::vector<timestamp>{at(7)});
    CHECK(d.half.watermarks() == std::vector<timestamp>{at(7)});
    CHECK(d.metrics.watermark.get() == 7);
}

TEST_CASE("an operator advances once for each watermark, however often the forwarding is refused") {
    driven d(2);
    d.half.refuse_next(5);
    d.out.refuse_next(3);
    d.until_done([&] { return d.in().on_watermark(at(9)); });
    CHECK(*d.calls == std::vector<std::string>{"open sums 2", "advanced 9"});
    CHECK(d.out.records().size() == 3);
    d.until_done([&] { return d.in().on_watermark(timestamp::max()); });
    CHECK(d.calls->size() == 3);
    CHECK(d.out.is_finished());
    CHECK(d.odd.is_finished());
    CHECK(d.half.is_finished());
}

TEST_CASE("all outputs get all their records and signals once, whichever of them refuse and how often") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        driven d(1 + random.below(5));
        d.out.refuse_at_random(random.seed(), static_cast<unsigned>(random.below(70)));
        d.odd.refuse_at_random(random.seed(), static_cast<unsigned>(random.below(70)));
        d.half.refuse_at_random(random.seed(), static_cast<unsigned>(random.below(70)));
        std::vector<timed<int>> odd;
        std::size_t records = 0;
        std::size_t signals = 0;
        std::int64_t w = 0;
        checkpoint_id barrier = 0;
        for (int step = 0; step < 30; ++step) {
            switch (random.below(6)) {
                case 0: ++w, ++signals, d.until_done([&] { return d.in().on_watermark(at(w)); }); break;
                case 1: ++barrier, ++signals, d.until_done([&] { return d.in().on_barrier(barrier); }); break;
                case 2: d.until_done([&] { return d.in().flush(); }); break;
                case 3:
                    ++signals, d.until_done([&] { return d.in().on_activity(activity::idle); });
                    ++signals, d.until_done([&] { return d.in().on_activity(activity::active); });
                    break;
                default: {
                    std::vector<timed<int>> in;
                    for (std::size_t i = 1 + random.below(6); i > 0; --i) {
                        in.push_back({static_cast<int>(100 + records++), at(random.between(-9, 9))});
                        if (in.back().value % 2 != 0) odd.push_back(in.back());
                    }
                    d.push(in);
                }
            }
        }
        d.until_done([&] { return d.in().flush(); });
        REQUIRE(d.odd.records() == odd);
        REQUIRE(d.half.records().size() == records);
        REQUIRE(d.out.records().size() == records + (w > 0 ? 3 : 0));
        REQUIRE(d.out.signals().size() == signals);
        REQUIRE(d.odd.signals().size() == signals);
        REQUIRE(d.half.signals().size() == signals);
        REQUIRE(d.metrics.records_in.get() == records);
        REQUIRE(d.metrics.records_out.get() == d.out.records().size());
    }
}

TEST_CASE("outputs that nobody asked for take everything and hold nothing up") {
    driven d(1, false);
    d.push({{1, at(1)}, {2, at(2)}, {3, at(3)}});
    CHECK(d.in().on_watermark(timestamp::max()) == progress::done);
    CHECK(d.out.records().size() == 6);

    operator_stage<summing> alone{summing{}};
    alone.open({});
    batch<int> b;
    b.append(1, at(1));
    CHECK(alone.input(0).on_any_batch(b) == progress::done);
    CHECK(alone.input(0).on_watermark(timestamp::max()) == progress::done);
}

TEST_CASE("an operator that throws is named, with subtask and record time, and the cause is nested") {
    driven d(100);
    batch<int> b;
    b.append(12, at(1));
    b.append(13, at(-5));
    try {
        (void)d.in().on_any_batch(b);
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "sums");
        CHECK(e.subtask() == 2);
        CHECK(e.record_time() == at(-5));
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::domain_error);
    }
    driven again(100);
    try {
        (void)again.in().on_watermark(at(666));
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "sums");
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::domain_error);
    }
}

TEST_CASE("a failure further down the chain keeps the name it has got there") {
    auto inner = operator_stage<summing>{summing{}};
    operator_context inner_context;
    inner_context.name = "inner";
    inner.open(inner_context);
    struct pass {
        using input_type = int;
        using output_type = int;
        void on_record(int&& x, timestamp t, output<int>& out) { out.emit(x, t); }
    };
    operator_stage<pass> outer{pass{}};
    outer.connect(0, inner.input(0), 1);
    operator_context outer_context;
    outer_context.name = "outer";
    outer.open(outer_context);
    batch<int> b;
    b.append(13, at(4));
    b.append(14, at(5));
    try {
        (void)outer.input(0).on_any_batch(b);
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "inner");
        CHECK(e.record_time() == at(4));
    }
}

namespace {

struct refuses_to_open {
    using input_type = int;
    using output_type = int;
    void open(const operator_context&) { throw io_error("no such model", 2); }
    void on_record(int&&, timestamp, output<int>&) {}
};

struct remembers {
    using input_type = int;
    using output_type = int;
    int sum = 0;
    void on_record(int&& x, timestamp t, output<int>& out) { out.emit(sum += x, t); }
    void save(snapshot_writer& to) const { codec<int>::encode(sum, to.local("sum")); }
    void load(snapshot_reader& from) {
        from.local("sum", [&](std::string_view bytes) {
            byte_reader in(bytes);
            sum += codec<int>::decode(in);
        });
    }
};

}  // namespace

TEST_CASE("an operator that cannot be opened is named") {
    operator_stage<refuses_to_open> stage{refuses_to_open{}};
    operator_context context;
    context.name = "model";
    context.subtask = 1;
    try {
        stage.open(context);
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "model");
        CHECK(e.subtask() == 1);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), io_error);
    }
}

TEST_CASE("state is saved and loaded by the operator's own members; an operator without them has none") {
    operator_stage<remembers> stage{remembers{}};
    stage.open({});
    batch<int> b;
    b.append(5, at(1));
    b.append(6, at(1));
    CHECK(stage.input(0).on_any_batch(b) == progress::done);
    operator_snapshot s;
    snapshot_writer to(s);
    stage.save(to);

    recorder<int> out;
    operator_stage<remembers> restored{remembers{}};
    restored.connect(0, out, 1);
    restored.open({});
    snapshot_reader from(s, {0, 128});
    restored.load(from);
    b.clear();
    b.append(1, at(2));
    CHECK(restored.input(0).on_any_batch(b) == progress::done);
    CHECK(restored.input(0).flush() == progress::done);
    CHECK(out.records() == std::vector<timed<int>>{{12, at(2)}});

    operator_stage<summing> stateless{summing{}};
    operator_snapshot nothing;
    snapshot_writer to_nothing(nothing);
    stateless.save(to_nothing);
    CHECK(nothing.keyed.empty());
    CHECK(nothing.local.empty());
}
