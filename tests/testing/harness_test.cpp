#include "runnel/testing/harness.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/delay.hpp"

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

namespace {

/// Adds up numbers until the watermark comes; late ones are counted, odd ones told to the side.
class adder {
public:
    using input_type = int;
    using output_type = int;
    using side_types = std::tuple<std::string>;

    void open(const operator_context& context, output<std::string>& odd) {
        context_ = context;
        odd_ = &odd;
    }
    void on_record(int&& n, timestamp t, output<int>&) {
        if (n < 0) throw std::invalid_argument("negative");
        if (t <= watermark_) return context_.metrics->late_dropped.add(1);
        if (n % 2 != 0) odd_->emit("odd " + std::to_string(n), t);
        sum_ += n;
    }
    progress advance(timestamp w, output<int>& out) {
        if (!out.ready()) return progress::blocked;
        out.emit(sum_, w);
        watermark_ = w;
        return progress::done;
    }
    void save(snapshot_writer& to) const { codec<int>::encode(sum_, to.local("sum")); }
    void load(snapshot_reader& from) {
        from.local("sum", [&](std::string_view bytes) {
            byte_reader in(bytes);
            sum_ += codec<int>::decode(in);
        });
    }

    operator_context context_;

private:
    output<std::string>* odd_ = nullptr;
    int sum_ = 0;
    timestamp watermark_ = timestamp::min();
};

}  // namespace

TEST_CASE("what comes out of an operator shows when the call returns") {
    operator_harness h(adder{});
    h.push(2, timestamp(1s));
    h.push_batch({{3, timestamp(2s)}, {4, timestamp(3s)}});
    CHECK(h.outputs().empty());
    CHECK(h.side_outputs() == std::vector<timed<std::string>>{{"odd 3", timestamp(2s)}});
    h.watermark(timestamp(3s));
    CHECK(h.outputs() == std::vector<timed<int>>{{9, timestamp(3s)}});
    h.push(10, timestamp(3s));
    CHECK(h.late_dropped() == 1);
    h.idle();
    h.active();
    CHECK(h.take_outputs().size() == 1);
    CHECK(h.outputs().empty());
    h.end();
    CHECK(h.outputs() == std::vector<timed<int>>{{9, timestamp::max()}});
    CHECK(h.output().is_finished());
    CHECK(h.side_output().is_finished());
}

TEST_CASE("the harness keeps the signals that the operator sends on") {
    operator_harness h(adder{});
    script<int> s;
    s.record(1, timestamp(1s)).watermark(timestamp(5s)).idle().active().record(2, timestamp(6s)).end();
    h.run(s);
    CHECK(h.watermarks() == std::vector<timestamp>{timestamp(5s), timestamp::max()});
    using kind = arrived_signal::kind;
    std::vector<kind> kinds;
    for (const arrived_signal& s : h.output().signals()) kinds.push_back(s.what);
    CHECK(kinds == std::vector<kind>{kind::watermark, kind::idle, kind::active, kind::watermark});
    CHECK(h.output().signals()[1].records_before == 1);
}

TEST_CASE("calls that the outputs refuse are repeated until they are through, and nothing is lost or doubled") {
    operator_harness h(adder{}, {.batch_size = 2});
    h.refuse_next(3);
    h.push(1, timestamp(1s));
    CHECK(h.output().refusals() == 3);
    CHECK(h.side_output().refusals() == 3);
    h.refuse_at_random(42);
    for (int n = 0; n < 100; ++n) h.push(n, timestamp(2s));
    h.watermark(timestamp(3s));
    CHECK(h.outputs() == std::vector<timed<int>>{{4951, timestamp(3s)}});
    CHECK(h.side_outputs().size() == 51);
    CHECK(h.side_output().refusals() > 20);
}

TEST_CASE("a fresh instance goes on from a snapshot, outputs and counts go on too") {
    operator_harness h(adder{});
    h.push(5, timestamp(1s));
    const operator_snapshot saved = h.snapshot();
    CHECK(saved.local.at("sum").size() == 1);
    h.push(7, timestamp(2s));
    h.restore(saved);
    h.push(8, timestamp(2s));
    h.watermark(timestamp(3s));
    CHECK(h.outputs() == std::vector<timed<int>>{{13, timestamp(3s)}});
    h.restore({});
    h.watermark(timestamp(4s));
    CHECK(h.outputs().back() == timed<int>{0, timestamp(4s)});
}

TEST_CASE("the operator learns its place, its key groups and the clock of the harness") {
    operator_harness h(adder{}, {.parallelism = 4, .subtask = 1, .key_groups = 64, .name = "adder"});
    const operator_context& context = h.get().context_;
    CHECK(context.name == "adder");
    CHECK(context.parallelism == 4);
    CHECK(context.subtask == 1);
    CHECK(context.mine.first == 16);
    CHECK(context.mine.last == 32);
    h.clock().advance(5s);
    CHECK(context.clock->now() == timestamp(5s));
    manual_clock other;
    operator_harness with_clock(adder{}, {.clock = &other});
    CHECK(with_clock.get().context_.clock == &other);
}

TEST_CASE("what the operator throws comes out with its place, the cause nested") {
    operator_harness h(adder{}, {.name = "adder"});
    try {
        h.push(-1, timestamp(7s));
        FAIL("no exception");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "adder");
        CHECK(e.record_time() == timestamp(7s));
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::invalid_argument);
    }
}

TEST_CASE("the harness holds the caller to the contract: watermarks rise, nothing comes after the end") {
    operator_harness h(adder{});
    h.watermark(timestamp(2s));
    CHECK_THROWS_AS(h.watermark(timestamp(2s)), contract_breach);
    operator_harness ended(adder{});
    ended.end();
    CHECK_THROWS_AS(ended.idle(), contract_breach);
}

namespace {

/// The call is a breach of the contract, and these words are in the message.
void check_breach(const std::string& words, auto call) {
    std::string message = "no breach";
    try {
        call();
    } catch (const contract_breach& e) {
        message = e.what();
    }
    CAPTURE(message);
    CHECK(message.find(words) != std::string::npos);
}

batch<int> numbers(int n) {
    batch<int> b;
    for (int i = 0; i < n; ++i) b.append(i, timestamp(i));
    return b;
}

}  // namespace

TEST_CASE("after `blocked` a recorder takes only the same call with the same argument") {
    batch<int> records = numbers(3);
    batch<int> others = numbers(3);
    auto blocked = [&](recorder<int>& r, auto call) {
        r.refuse_next(1);
        CHECK(call() == progress::blocked);
        CHECK(r.is_blocking());
    };
    {
        recorder<int> r;
        blocked(r, [&] { return r.on_batch(records); });
        check_breach("of another batch came next", [&] { r.on_batch(others); });
        check_breach("on_watermark(1970-01-01T00:00:05Z) came next", [&] { r.on_watermark(timestamp(5s)); });
        check_breach("on_activity(idle) came next", [&] { r.on_activity(activity::idle); });
        check_breach("flush() came next", [&] { r.flush(); });
        check_breach("on_barrier(1) came next", [&] { r.on_barrier(1); });
        records.append(9, timestamp(9));
        check_breach("on_batch(4 records, cursor 0) came next", [&] { r.on_batch(records); });
        records.truncate(3);
        records.consume_until(1);
        check_breach("on_batch(3 records, cursor 1) came next", [&] { r.on_batch(records); });
        records.consume_until(0);
        CHECK(r.on_batch(records) == progress::done);
        CHECK_FALSE(r.is_blocking());
    }
    {
        recorder<int> r;
        blocked(r, [&] { return r.on_watermark(timestamp(5s)); });
        check_breach("on_watermark(1970-01-01T00:00:06Z) came next", [&] { r.on_watermark(timestamp(6s)); });
        check_breach("on_batch(3 records, cursor 0) came next", [&] { r.on_batch(others); });
        CHECK(r.on_watermark(timestamp(5s)) == progress::done);
    }
    {
        recorder<int> r;
        blocked(r, [&] { return r.on_activity(activity::idle); });
        check_breach("on_activity(active) came next", [&] { r.on_activity(activity::active); });
    }
    {
        recorder<int> r;
        blocked(r, [&] { return r.on_barrier(3); });
        check_breach("on_barrier(4) came next", [&] { r.on_barrier(4); });
    }
    {
        recorder<int> r;
        blocked(r, [&] { return r.flush(); });
        check_breach("on_watermark(", [&] { r.on_watermark(timestamp(1s)); });
        CHECK(r.flush() == progress::done);
    }
}

TEST_CASE("a recorder insists on rising watermarks and barriers, on bounds, and on silence after the end") {
    recorder<int> r;
    r.on_watermark(timestamp(5s));
    check_breach("does not rise", [&] { r.on_watermark(timestamp(5s)); });
    check_breach("does not rise", [&] { r.on_watermark(timestamp(4s)); });
    r.on_barrier(2);
    check_breach("barrier 2 does not rise", [&] { r.on_barrier(2); });

    batch<int> narrow;
    narrow.append_raw(7, timestamp(3));
    narrow.widen(timestamp(4), timestamp(5));
    check_breach("outside the bounds of its batch", [&] { r.on_batch(narrow); });
    batch<int> wide = numbers(2);
    wide.widen(timestamp(-100s), timestamp(100s));
    CHECK(r.on_batch(wide) == progress::done);

    r.on_watermark(timestamp::max());
    batch<int> more = numbers(1);
    check_breach("records came after the end", [&] { r.on_batch(more); });
    check_breach("idle or active came after the end", [&] { r.on_activity(activity::active); });
    check_breach("barrier came after the end", [&] { r.on_barrier(3); });
    check_breach("came after the end", [&] { r.on_watermark(timestamp::max()); });
    CHECK(r.flush() == progress::done);
}

TEST_CASE("a recorder that refuses at random takes every record once, sometimes in parts, sometimes all of them") {
    bool in_parts = false;
    bool all_but_refused = false;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        recorder<int> r;
        r.refuse_at_random(seed, 60);
        batch<int> records = numbers(10);
        while (r.on_batch(records) == progress::blocked) {
            in_parts |= records.cursor() > 0 && records.remaining() > 0;
            all_but_refused |= records.remaining() == 0;
        }
        REQUIRE(r.records().size() == 10);
        for (int i = 0; i < 10; ++i) CHECK(r.records()[static_cast<std::size_t>(i)].value == i);
        r.accept();
        CHECK(r.flush() == progress::done);
    }
    CHECK(in_parts);
    CHECK(all_but_refused);
}

TEST_CASE("values show in messages in the form that says most") {
    CHECK(text_of(7) == "7");
    CHECK(text_of(true) == "true");
    CHECK(text_of("a") == "\"a\"");
    CHECK(text_of(std::string("a b")) == "\"a b\"");
    CHECK(text_of(timestamp(1s)) == "1970-01-01T00:00:01Z");
    CHECK(text_of(std::pair(1, std::string("x"))) == "(1, \"x\")");
    CHECK(text_of(std::vector<int>{1, 2, 3}) == "[1, 2, 3]");
    CHECK(text_of(std::optional<int>()) == "none");
    CHECK(text_of(std::optional<int>(4)) == "4");
    CHECK(text_of(timed<int>{4, timestamp(1s)}) == "4 at 1970-01-01T00:00:01Z");
    CHECK(text_of(activity::idle) == "bytes 01");
    struct opaque {};
    CHECK(text_of(opaque{}) == "?");
}

namespace {

/// Puts numbers and words on one line, in the order in which they come.
struct zipped {
    using input_type = int;
    using second_type = std::string;
    using output_type = std::string;
    void on_record(int&& n, timestamp t, output<std::string>& out) { out.emit(std::to_string(n), t); }
    void on_second(std::string&& word, timestamp t, output<std::string>& out) {
        if (word.empty()) throw std::invalid_argument("no word");
        out.emit(std::move(word), t);
    }
};

}  // namespace

TEST_CASE("an operator is told of processing time, and may be refused") {
    operator_harness h(tests::delay{}, {.batch_size = 1});
    h.push(1, timestamp(1s));
    h.clock_at(timestamp(4s));
    h.push(2, timestamp(2s));
    h.push(3, timestamp(3s));
    CHECK(h.outputs().empty());
    h.refuse_next(2);
    h.clock_at(timestamp(14s));
    CHECK(h.outputs() == std::vector<timed<int>>{{1, timestamp(1s)}, {2, timestamp(2s)}, {3, timestamp(3s)}});
    h.push(4, timestamp(4s));
    h.end();
    CHECK(h.outputs().size() == 4);
    h.clock_at(timestamp(99s));  // After the end nothing is due.
    CHECK(h.outputs().size() == 4);
}

TEST_CASE("an operator with two inputs gets the records of both") {
    operator_harness h(zipped{});
    h.push(1, timestamp(1s));
    h.push_second(std::string("one"), timestamp(2s));
    h.watermark(timestamp(5s));
    h.push(2, timestamp(6s));
    CHECK(h.outputs() == std::vector<timed<std::string>>{
                             {"1", timestamp(1s)}, {"one", timestamp(2s)}, {"2", timestamp(6s)}});
    CHECK(h.metrics().records_in.get() == 3);
    CHECK_THROWS_AS(h.push_second(std::string(), timestamp(7s)), job_error);
}
