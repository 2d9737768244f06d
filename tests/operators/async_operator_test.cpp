#include "runnel/operators/async_operator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/graph/keyed_stream.hpp"
#include "runnel/testing/grid.hpp"
#include "runnel/testing/harness.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::operator_harness;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// An outside system that answers when the test says so. Copies are the same system.
struct service {
    struct question {
        int value;
        completion<int> done;
    };
    std::shared_ptr<std::deque<question>> open = std::make_shared<std::deque<question>>();
    std::shared_ptr<std::vector<int>> asked = std::make_shared<std::vector<int>>();

    void operator()(const int& value, completion<int> done) const {
        asked->push_back(value);
        open->push_back({value, std::move(done)});
    }
    /// Answers the question that has been waiting as the n-th, by ten times its value.
    void answer(std::size_t n = 0) const {
        question q = std::move((*open)[n]);
        open->erase(open->begin() + static_cast<std::ptrdiff_t>(n));
        q.done(q.value * 10);
    }
    void fail(std::size_t n = 0) const {
        question q = std::move((*open)[n]);
        open->erase(open->begin() + static_cast<std::ptrdiff_t>(n));
        q.done(std::make_exception_ptr(std::runtime_error("no route")));
    }
    void answer_all() const {
        while (!open->empty()) answer();
    }
};

struct last_digit {
    int operator()(const int& x) const { return x % 10; }
};

using plain = async_operator<int, int, service>;
using keyed = async_operator<int, int, service, last_digit>;

template <class Op>
std::vector<int> values(const operator_harness<Op>& h) {
    std::vector<int> all;
    for (const auto& r : h.outputs()) all.push_back(r.value);
    return all;
}

/// Results and watermarks in the order in which they came: "10 20 w5".
template <class Op>
std::string story(operator_harness<Op>& h) {
    std::string text;
    std::size_t next = 0;
    auto add = [&](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
    auto results = [&](std::size_t until) {
        for (; next < until; ++next) add(std::to_string(h.outputs()[next].value));
    };
    using kind = testing::arrived_signal::kind;
    for (const testing::arrived_signal& s : h.output().signals()) {
        results(s.records_before);
        if (s.what == kind::watermark) add(s.watermark == timestamp::max() ? "max" : "w" + std::to_string(s.watermark.ns()));
        if (s.what == kind::idle) add("idle");
        if (s.what == kind::active) add("active");
    }
    results(h.outputs().size());
    return text;
}

template <class F>
std::string message_of(F f) {
    try {
        f();
    } catch (const job_error& e) {
        return "at " + std::to_string(e.record_time().ns()) + ": " + e.what();
    }
    return "nothing was thrown";
}

}  // namespace

TEST_CASE("ordered: results come in the order of their records, whatever the order of the answers; time stays") {
    service s;
    operator_harness h(plain(s, {}));
    for (int i = 1; i <= 4; ++i) h.push(i, at(100 + i));
    CHECK(*s.asked == std::vector<int>{1, 2, 3, 4});
    s.answer(2);
    s.answer(1);
    h.tick();
    CHECK(values(h).empty());
    s.answer(0);
    h.tick();
    CHECK(values(h) == std::vector<int>{10, 20, 30});
    s.answer();
    h.end();
    CHECK(story(h) == "10 20 30 40 max");
    CHECK(h.outputs()[2].time == at(103));
}

TEST_CASE("unordered: results come as they are answered, but never across a watermark") {
    service s;
    operator_harness h(plain(s, {.ordered = false}));
    h.push(1, at(10));
    h.push(2, at(11));
    h.watermark(at(5));
    h.push(3, at(12));
    h.push(4, at(6));
    h.watermark(at(7));
    h.push(5, at(8));
    CHECK(s.asked->size() == 5);  // A watermark holds up results, not questions.
    s.answer(4);
    s.answer(2);
    s.answer(1);
    h.tick();
    CHECK(story(h) == "20");
    s.answer(0);
    h.tick();
    CHECK(story(h) == "20 10 w5 30");
    s.answer(0);
    h.tick();
    CHECK(story(h) == "20 10 w5 30 40 w7 50");
    h.end();
    CHECK(story(h) == "20 10 w5 30 40 w7 50 max");
}

TEST_CASE("a watermark passes at once if nothing is under way, and waits behind what is") {
    for (const bool ordered : {true, false}) {
        service s;
        operator_harness h(plain(s, {.ordered = ordered}));
        h.watermark(at(1));
        CHECK(story(h) == "w1");
        h.push(1, at(10));
        h.watermark(at(2));
        h.watermark(at(3));  // The later one says all that the earlier one did.
        CHECK(story(h) == "w1");
        h.push(2, at(10));
        s.answer();
        h.tick();
        CHECK(story(h) == "w1 10 w3");
        s.answer();
        h.watermark(at(4));
        CHECK(story(h) == "w1 10 w3 20 w4");
    }
}

TEST_CASE("idle and active wait behind what is under way, too; with nothing in between they are nothing") {
    service s;
    operator_harness h(plain(s, {}));
    h.idle();
    h.active();
    CHECK(story(h) == "idle active");
    h.push(1, at(10));
    h.watermark(at(5));
    h.idle();
    CHECK(story(h) == "idle active");
    s.answer();
    h.tick();
    CHECK(story(h) == "idle active 10 w5 idle");
    h.active();
    h.push(2, at(10));
    h.idle();
    h.active();
    h.watermark(at(6));
    for (int i = 0; i < 1000; ++i) {
        h.idle();
        h.active();
    }
    s.answer();
    h.tick();
    CHECK(story(h) == "idle active 10 w5 idle active 20 w6");
}

TEST_CASE("a signal that was refused is repeated as it is, whatever has come since") {
    service s;
    operator_harness h(plain(s, {}));
    h.push(1, at(10));
    h.watermark(at(5));
    s.answer();
    h.output().refuse_next(5);
    h.watermark(at(6));
    CHECK(story(h) == "10 w5 w6");
}

TEST_CASE("with a key, a record waits until the one before it of the same key has been answered") {
    for (const bool ordered : {true, false}) {
        service s;
        operator_harness h(keyed(s, {.ordered = ordered}));
        for (const int x : {11, 21, 12, 31, 22}) h.push(x, at(x));
        CHECK(*s.asked == std::vector<int>{11, 12});
        s.answer(1);
        h.tick();
        CHECK(*s.asked == std::vector<int>{11, 12, 22});
        s.answer(1);
        s.answer(0);
        h.tick();
        CHECK(*s.asked == std::vector<int>{11, 12, 22, 21});
        s.answer();
        h.tick();
        s.answer();
        h.push(42, at(1));
        s.answer_all();
        h.end();
        CHECK(values(h) == (ordered ? std::vector<int>{110, 210, 120, 310, 220, 420}
                                    : std::vector<int>{120, 220, 110, 210, 310, 420}));
    }
}

TEST_CASE("never more are under way than the capacity: the stream waits for an answer") {
    for (const bool ordered : {true, false}) {
        service s;
        std::size_t most = 0;
        testing::harness_options options;
        options.when_waiting = [&] {
            most = std::max(most, s.open->size());
            s.answer(s.open->size() / 2);
        };
        operator_harness h(plain(s, {.capacity = 3, .ordered = ordered}), options);
        std::vector<timed<int>> all;
        for (int i = 0; i < 50; ++i) all.push_back({i, at(i)});
        h.push_batch(all);
        CHECK(s.asked->size() <= 50);
        h.end();
        CHECK(most == 3);
        std::vector<int> expected;
        for (int i = 0; i < 50; ++i) expected.push_back(i * 10);
        std::vector<int> got = values(h);
        if (!ordered) std::sort(got.begin(), got.end());
        CHECK(got == expected);
    }
}

TEST_CASE("what has been answered is sent on while the stream waits for more") {
    service s;
    testing::harness_options options;
    options.flush = false;
    std::vector<std::size_t> seen;
    operator_harness<plain>* harness = nullptr;
    options.when_waiting = [&] {
        seen.push_back(harness->outputs().size());
        s.answer();
    };
    operator_harness h(plain(s, {.capacity = 1}), options);
    harness = &h;
    h.push_batch({{1, at(1)}, {2, at(2)}, {3, at(3)}});
    CHECK(seen == std::vector<std::size_t>{0, 1});
}

TEST_CASE("an attempt that takes too long has failed; the answer that comes later is ignored") {
    service s;
    operator_harness h(plain(s, {.timeout = 5s, .retry = {1, 0s}}));
    h.push(1, at(77));
    h.clock_at(timestamp(4s));
    h.push(2, at(78));
    h.clock_at(timestamp(5s));
    CHECK(*s.asked == std::vector<int>{1, 2, 1});
    s.answer(0);
    h.tick();
    CHECK(values(h).empty());
    s.answer(1);
    h.tick();
    CHECK(values(h) == std::vector<int>{10});
    h.clock_at(timestamp(9s));
    CHECK(s.asked->back() == 2);
    const std::string text = message_of([&] { h.clock_at(timestamp(14s)); });
    CHECK(text.find("at 78: ") == 0);
    CHECK(text.find("no answer within 5000000000 ns") != std::string::npos);
}

TEST_CASE("next_tick is when the next attempt has taken too long, or is due again") {
    service s;
    operator_harness h(plain(s, {.timeout = 5s, .retry = {9, 1s}}));
    CHECK(h.get().next_tick() == timestamp::max());
    h.push(1, at(1));
    CHECK(h.get().next_tick() == timestamp(5s));
    s.fail();
    h.tick();
    CHECK(h.get().next_tick() == timestamp(1s));
    h.clock_at(timestamp(1s));
    CHECK(h.get().next_tick() == timestamp(6s));
    s.answer();
    h.tick();
    CHECK(h.get().next_tick() == timestamp::max());
    operator_harness never(plain(s, {.timeout = duration::max()}));
    never.push(1, at(1));
    CHECK(never.get().next_tick() == timestamp::max());
}

TEST_CASE("a failed record is asked again after a wait that doubles, then ends the job with its time and the cause") {
    service s;
    operator_harness h(plain(s, {.retry = {3, 1s}}));
    h.push(7, at(123));
    std::vector<std::int64_t> seconds;
    std::string text;
    for (std::int64_t now = 0; now < 20 && text.empty(); ++now) {
        if (s.open->empty()) continue;
        seconds.push_back(now);
        s.fail();
        for (std::int64_t then = now; then < 20 && s.open->empty() && text.empty(); ++then) {
            const std::string said = message_of([&] { h.clock_at(timestamp(std::chrono::seconds(then))); });
            if (said != "nothing was thrown") text = said;
            if (!s.open->empty()) now = then - 1;
        }
    }
    CHECK(seconds == std::vector<std::int64_t>{0, 1, 3, 7});
    CHECK(text.find("at 123: ") == 0);
    CHECK(text.find("no route") != std::string::npos);
}

TEST_CASE("a backoff beyond the end of time is never due") {
    service s;
    operator_harness h(plain(s, {.retry = {3, duration::max()}}));
    h.push(7, at(1));
    s.fail();
    h.tick();
    CHECK(h.get().next_tick() == timestamp::max());
}

TEST_CASE("a completion that is dropped is a failure") {
    auto forgetful = [](const int&, completion<int>) {};
    operator_harness h(async_operator<int, int, decltype(forgetful)>(forgetful, {}));
    h.push(1, at(5));
    const std::string text = message_of([&] { h.tick(); });
    CHECK(text.find("at 5: ") == 0);
    CHECK(text.find("dropped without an answer") != std::string::npos);
}

TEST_CASE("what the function throws is the failure, whatever becomes of its completion") {
    std::vector<completion<int>> kept;
    for (const bool keeps : {true, false}) {
        auto thrower = [&](const int&, completion<int> done) {
            if (keeps) kept.push_back(std::move(done));
            throw std::runtime_error("no such host");
        };
        operator_harness h(async_operator<int, int, decltype(thrower)>(thrower, {}));
        h.push(1, at(5));
        const std::string text = message_of([&] { h.tick(); });
        CHECK(text.find("at 5: ") == 0);
        CHECK(text.find("no such host") != std::string::npos);
    }
    kept.clear();
}

TEST_CASE("an answer may come inside the function, and after the operator has gone") {
    service s;
    {
        operator_harness h(plain(s, {}));
        h.push(1, at(5));
    }
    s.answer_all();
    auto at_once = [](const int& x, completion<int> done) { done(x + 1); };
    operator_harness h(async_operator<int, int, decltype(at_once)>(at_once, {.capacity = 2}));
    h.push_batch({{1, at(1)}, {2, at(2)}, {3, at(3)}});
    h.end();
    CHECK(values(h) == std::vector<int>{2, 3, 4});
}

TEST_CASE("the record stays where it is as long as its completion lives") {
    struct pending {
        const std::string* record;
        completion<int> done;
    };
    std::vector<pending> open;
    auto keep = [&](const std::string& x, completion<int> done) { open.push_back({&x, std::move(done)}); };
    {
        operator_harness h(async_operator<std::string, int, decltype(keep)>(keep, {.timeout = 1s, .retry = {1, 0s}}));
        h.push("a text too long to be kept in the string itself", at(1));
        h.clock_at(timestamp(1s));
        open[1].done(1);
        h.end();
    }
    for (const pending& p : open) CHECK(*p.record == "a text too long to be kept in the string itself");
}

TEST_CASE("a key that is NaN is an error that names the record's time") {
    auto at_once = [](const double& x, completion<double> done) { done(x); };
    struct itself {
        double operator()(const double& x) const { return x; }
    };
    using key = detail::key_of<itself, double>;
    operator_harness h(async_operator<double, double, decltype(at_once), key>(at_once, {}, key{}));
    h.push(1.5, at(1));
    const std::string text = message_of([&] { h.push(std::nan(""), at(2)); });
    CHECK(text.find("at 2: ") == 0);
    CHECK(text.find("NaN") != std::string::npos);
}

TEST_CASE("what is under way is in the snapshot, and asked again after a restore; a held watermark follows it") {
    service s;
    operator_harness h(keyed(s, {.capacity = 4}));
    h.watermark(at(1));
    for (const int x : {11, 21, 12, 31}) h.push(x, at(x));
    h.watermark(at(5));
    s.answer(1);  // Answered, but behind one that is not: asked again, too.
    h.tick();
    const operator_snapshot taken = h.snapshot();
    h.restore(taken);
    s.open->clear();
    s.asked->clear();
    h.tick();
    CHECK(*s.asked == std::vector<int>{11, 12});
    for (int i = 0; i < 4; ++i) {
        s.answer_all();
        h.tick();
    }
    h.end();
    CHECK(story(h) == "w1 110 210 120 310 w5 max");
}

TEST_CASE("a record type without a codec cannot be saved, and is told so") {
    struct opaque {};
    auto at_once = [](const opaque&, completion<int> done) { done(1); };
    operator_harness h(async_operator<opaque, int, decltype(at_once)>(at_once, {}));
    try {
        (void)h.snapshot();
        FAIL("nothing was thrown");
    } catch (const error& e) {
        CHECK(std::string(e.what()).find("its record type has no codec") != std::string::npos);
    }
}

TEST_CASE("restored at another parallelism, each record is asked once, by the subtask that its key belongs to") {
    for (const bool with_key : {true, false}) {
        for (std::size_t from = 1; from <= 3; ++from)
            for (std::size_t to = 1; to <= 3; ++to) {
                auto go = [&]<class Op>(const Op& prototype, service& s) {
                    std::vector<std::unique_ptr<operator_harness<Op>>> subtasks;
                    auto start = [&](std::size_t n, const operator_snapshot* snapshot) {
                        subtasks.clear();
                        for (std::size_t i = 0; i < n; ++i) {
                            testing::harness_options o;
                            o.parallelism = n;
                            o.subtask = i;
                            subtasks.push_back(std::make_unique<operator_harness<Op>>(prototype, o));
                            if (snapshot) subtasks.back()->restore(*snapshot);
                        }
                    };
                    auto of = [&](int x) {
                        if (!with_key) return static_cast<std::size_t>(x) % subtasks.size();
                        return subtask_of(key_group_of(x % 10, 128), 128, subtasks.size());
                    };
                    start(from, nullptr);
                    std::multiset<int> expected;
                    for (int x = 0; x < 40; ++x) {
                        subtasks[of(x)]->push(x, at(x));
                        expected.insert(x * 10);
                    }
                    for (auto& h : subtasks) h->watermark(at(-1));
                    operator_snapshot all;
                    for (auto& h : subtasks) all.add(h->snapshot());
                    start(to, &all);
                    s.open->clear();
                    s.asked->clear();
                    std::multiset<int> got;
                    for (std::size_t i = 0; i < to; ++i) {
                        operator_harness<Op>& h = *subtasks[i];
                        do {
                            s.answer_all();
                            h.tick();
                        } while (!s.open->empty());
                        for (const auto& r : h.outputs()) {
                            got.insert(r.value);
                            if (with_key) CHECK(of(r.value / 10) == i);
                        }
                        CHECK(h.watermarks() == std::vector<timestamp>{at(-1)});
                    }
                    CHECK(got == expected);
                    CHECK(s.asked->size() == 40);
                };
                service s;
                // A capacity below what comes together then.
                if (with_key) go(keyed(s, {.capacity = 40, .ordered = false}), s);
                else go(plain(s, {.capacity = 40}), s);
            }
    }
}

TEST_CASE("more than the capacity under way after a restore: no more are asked at a time, and nothing new") {
    service s;
    operator_snapshot all;
    for (std::size_t i = 0; i < 4; ++i) {
        operator_harness h(plain(s, {.capacity = 3}), {.parallelism = 4, .subtask = i});
        for (int x = 0; x < 3; ++x) h.push(x, at(x));
        all.add(h.snapshot());
    }
    s.open->clear();
    s.asked->clear();
    std::size_t most = 0;
    testing::harness_options options;
    options.when_waiting = [&] {
        most = std::max(most, s.open->size());
        CHECK(s.asked->back() != 99);
        s.answer();
    };
    operator_harness h(plain(s, {.capacity = 3}), options);
    h.restore(all);
    h.push(99, at(1));
    CHECK(most == 3);
    CHECK(s.asked->size() == 13);
    s.answer_all();
    h.end();
    CHECK(h.outputs().size() == 13);
}

TEST_CASE("async_map on the grid") {
    auto at_once = [](const int& x, completion<int> done) { done(x * 10); };
    testing::script<int> input;
    tests::random_numbers random(5);
    for (int i = 0; i < 60; ++i) {
        input.record(static_cast<int>(random.below(50)), at(random.between(i, i + 10)));
        if (random.chance(20)) input.watermark(at(i - 5));
        if (random.chance(5)) input.idle().active();
    }
    input.end();
    for (const bool ordered : {true, false}) {
        const async_options options{.capacity = 4, .ordered = ordered};
        testing::run_grid(async_operator<int, int, decltype(at_once)>(at_once, options), input, {.in_order = ordered});
        testing::run_grid(async_operator<int, int, decltype(at_once), last_digit>(at_once, options), input,
                          {.group_of = testing::group_by(last_digit{}),
                           .in_order = ordered,
                           .result_key = testing::order_by([](const int& r) { return r / 10 % 10; })});
    }
}

TEST_CASE("whatever the order of answers, refusals and restarts, no result crosses a watermark and none is lost") {
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const bool ordered = random.chance(50);
        const async_options async{.capacity = random.below(8) + 1, .ordered = ordered};
        service s;
        auto answer_some = [&] {
            if (!s.open->empty()) s.answer(random.below(s.open->size()));
        };
        testing::harness_options options;
        options.batch_size = random.below(4) + 1;
        options.flush = random.chance(50);
        options.when_waiting = answer_some;
        auto go = [&]<class Op>(const Op& prototype, bool with_key) {
            operator_harness<Op> h(prototype, options);
            if (random.chance(50)) h.refuse_at_random(random.seed());
            // For each watermark, how many records came before it.
            std::map<timestamp, int> before{{timestamp::max(), 0}};
            int next = 0;
            std::int64_t w = 0;
            for (int step = 0; step < 40; ++step) {
                switch (random.below(10)) {
                    case 0: h.watermark(at(++w)), before[at(w)] = next; break;
                    case 1: h.tick(); break;
                    case 2: h.idle(), h.active(); break;
                    case 3:
                        if (random.chance(30)) {
                            const operator_snapshot taken = h.snapshot();
                            h.flush();
                            h.restore(taken);
                            s.open->clear();
                        }
                        break;
                    case 4:
                    case 5:
                    case 6: answer_some(); break;
                    default: {
                        std::vector<timed<int>> some;
                        for (std::size_t n = random.below(5); n != 0; --n) some.push_back({next++, at(1000)});
                        h.push_batch(some);
                    }
                }
            }
            before[timestamp::max()] = next;
            h.end();
            h.flush();
            std::vector<int> got;
            for (const auto& r : h.outputs()) got.push_back(r.value / 10);
            using kind = testing::arrived_signal::kind;
            for (const testing::arrived_signal& signal : h.output().signals()) {
                if (signal.what != kind::watermark) continue;
                const int limit = before.at(signal.watermark);
                CHECK(signal.records_before == static_cast<std::size_t>(limit));
                for (std::size_t i = 0; i < got.size(); ++i) CHECK((got[i] < limit) == (i < signal.records_before));
            }
            if (ordered) CHECK(std::is_sorted(got.begin(), got.end()));
            std::map<int, int> last;
            if (with_key)
                for (const int x : got) {
                    const auto [it, fresh] = last.try_emplace(x % 10, x);
                    if (!fresh) CHECK(it->second < x);
                    it->second = x;
                }
            std::sort(got.begin(), got.end());
            std::vector<int> expected;
            for (int i = 0; i < next; ++i) expected.push_back(i);
            CHECK(got == expected);
        };
        if (random.chance(50)) go(plain(s, async), false);
        else go(keyed(s, async), true);
    }
}
