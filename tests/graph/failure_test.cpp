// What becomes of records that cannot be decoded, processed or written: left out, sent to dead letters, tried again.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/lines.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/graph/two_stage.hpp"
#include "runnel/sink/async_for_each.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

std::vector<int> numbers(int n) {
    std::vector<int> all;
    for (int i = 0; i < n; ++i) all.push_back(i);
    return all;
}

int no_sevens(int i) {
    if (i % 7 == 0) throw std::domain_error("seven");
    return i;
}

const operator_status& find(const job_status& status, const std::string& name) {
    return *std::find_if(status.operators.begin(), status.operators.end(),
                         [&](const operator_status& o) { return o.name == name; });
}

}  // namespace

TEST_CASE("a record at which a function throws is left out and counted, if the policy says so") {
    for (std::size_t batch_size : {1, 3, 512}) {
        std::vector<int> out;
        pipeline p;
        p.from(collection(numbers(100))).map(no_sevens).map([](int i) { return i * 2; }).named("double").on_error(
            on_error::skip).to(collect(out));
        job j = std::move(p).start({.batch_size = batch_size});
        j.wait();
        CHECK(out.size() == 85);
        CHECK(std::none_of(out.begin(), out.end(), [](int i) { return i % 7 == 0; }));
        CHECK(std::is_sorted(out.begin(), out.end()));
        const operator_status o = find(j.status(), "map+double");
        CHECK(o.skipped == 15);
        CHECK(o.records_in == 100);
        CHECK(j.status().bad_records.back().why == "seven");
        CHECK(j.status().bad_records.back().where == "map");
    }
}

TEST_CASE("dead letters carry the record, the error, the place and the time") {
    std::vector<std::string> out;
    std::vector<dead_letter<std::string>> letters;
    std::vector<timed<std::string>> words{{"one", timestamp(1s)}, {"", timestamp(2s)}, {"three", timestamp(3s)}};
    dead_letter_output<std::string> bad;
    pipeline p;
    p.from(timed_collection(words))
        .event_time(monotonous())
        .map([](std::string&& s) {
            std::string taken = std::move(s);  // What the function does to its argument does not change the letter.
            if (taken.empty()) std::throw_with_nested(std::invalid_argument("no word"));
            if (taken == "three") throw 3;
            return taken + "!";
        })
        .named("shout")
        .on_error(bad)
        .to(collect(out));
    bad.stream().to(collect(letters));
    std::move(p).start().wait();
    CHECK(out == std::vector<std::string>{"one!"});
    REQUIRE(letters.size() == 2);
    CHECK(letters[0] == dead_letter<std::string>{"", {"no word", "shout", 0, "", timestamp(2s)}});
    CHECK(letters[1].value == "three");
    CHECK(letters[1].details.error == "an exception that is not a std::exception");
    CHECK(letters[1].details.time == timestamp(3s));
}

TEST_CASE("what an operator emitted for a record that fails is withdrawn, from all its outputs") {
    struct halving {
        using input_type = std::string;
        using output_type = char;
        using side_types = std::tuple<int>;
        void open(const operator_context&, output<int>& sizes) { side = &sizes; }
        void on_record(std::string&& s, timestamp t, output<char>& out) {
            side->emit(static_cast<int>(s.size()), t);
            for (char c : s) {
                if (c == '!') throw std::domain_error("loud");
                out.emit(c, t);
            }
        }
        output<int>* side = nullptr;
    };
    for (std::size_t batch_size : {1, 2, 512}) {
        std::vector<char> letters, flat;
        std::vector<int> sizes;
        pipeline p;
        auto words = p.from(collection<std::string>({"ab", "c!d", "", "!", "ef", "gh!"}));
        auto [chars, side] = words.then(halving{});
        chars.on_error(on_error::skip).to(collect(letters));
        side.to(collect(sizes));
        words
            .flat_map([](const std::string& s) {
                return s;
            })
            .map([](char c) { return c == '!' ? throw std::domain_error("loud") : c; })
            .on_error(on_error::skip)
            .to(collect(flat));
        std::move(p).start({.batch_size = batch_size}).wait();
        CHECK(std::string(letters.begin(), letters.end()) == "abef");
        CHECK(sizes == std::vector<int>{2, 0, 2});
        CHECK(std::string(flat.begin(), flat.end()) == "abef");
    }
}

TEST_CASE("a failing record is tried again after the backoff, then after twice that, and the records behind it wait") {
    manual_source<int> source;
    collected<int> out;
    std::vector<timestamp> tries;
    int failures = 2;
    pipeline p;
    const runnel::clock* time = nullptr;
    p.from(source)
        .map([&](int i) {
            if (i == 3) {
                tries.push_back(time->now());
                if (failures-- > 0) throw std::runtime_error("not now");
            }
            return i;
        })
        .retry(2, 10s)
        .to(out);
    graph_harness h(std::move(p));
    time = &h.clock();
    for (int i : {1, 2, 3, 4}) source.push(i);
    h.run_until_idle();
    h.advance(29s);
    CHECK(tries == std::vector<timestamp>{timestamp(0s), timestamp(10s)});
    source.push(5);
    h.run_until_idle();
    h.advance(1s);
    CHECK(tries.back() == timestamp(30s));
    CHECK(out.values() == std::vector<int>{1, 2, 3, 4, 5});
    failures = 3;  // One more than is put up with.
    source.push(3);
    CHECK_THROWS_AS(h.advance(60s), job_error);
    CHECK(tries.size() == 6);
}

TEST_CASE("after the last try a record is left out, if the policy says so; each record has tries of its own") {
    std::map<int, int> tries;
    std::vector<int> out;
    pipeline p;
    p.from(collection(numbers(10)))
        .filter([&](int i) {
            ++tries[i];
            if (i == 2 || i == 3 || (i == 8 && tries[i] < 4)) throw std::runtime_error("no");
            return true;
        })
        .retry(3, 1s)
        .on_error(on_error::skip)
        .to(collect(out));
    sim_executor simulated(1);
    std::move(p).start({.batch_size = 4, .executor = &simulated, .clock = &simulated.clock()}).wait();
    CHECK(out == std::vector<int>{0, 1, 4, 5, 6, 7, 8, 9});
    CHECK(tries[2] == 4);
    CHECK(tries[3] == 4);
    CHECK(tries[8] == 4);
    CHECK(tries[9] == 1);
    CHECK(simulated.clock().now() >= timestamp(21s));
}

TEST_CASE("a sink's failing writes are tried again, and what cannot be written becomes a dead letter") {
    std::vector<int> written;
    std::vector<dead_letter<int>> letters;
    dead_letter_output<int> bad;
    std::map<int, int> tries;
    pipeline p;
    p.from(collection(numbers(20)))
        .to(for_each([&](int i) {
            ++tries[i];
            if (i == 5 || (i == 6 && tries[i] < 2)) throw std::runtime_error("full");
            written.push_back(i);
        }))
        .named("disk")
        .retry(2, 1s)
        .on_error(bad);
    bad.stream().to(collect(letters));
    sim_executor simulated(1);
    job j = std::move(p).start({.executor = &simulated, .clock = &simulated.clock()});
    j.wait();
    CHECK(written.size() == 19);
    CHECK(tries[5] == 3);
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].value == 5);
    CHECK(letters[0].details.error == "full");
    CHECK(letters[0].details.operator_name == "disk");
    CHECK(find(j.status(), "disk").skipped == 1);
}

TEST_CASE("records that fail after they were handed over are left out, without touching those in hand") {
    for (std::size_t batch_size : {1, 3, 512}) {
        std::vector<int> done;
        std::vector<dead_letter<int>> letters;
        dead_letter_output<int> bad;
        pipeline p;
        p.from(collection(numbers(50)))
            .to(async_for_each([&](int i, record_done ended) {
                if (i % 7 == 0) return ended(std::make_exception_ptr(std::domain_error("seven")));
                done.push_back(i);
                ended();
            }))
            .named("send")
            .on_error(bad);
        bad.stream().to(collect(letters));
        sim_executor simulated(batch_size);
        job j = std::move(p).start({.batch_size = batch_size, .executor = &simulated, .clock = &simulated.clock()});
        j.wait();
        CHECK(done.size() == 42);
        REQUIRE(letters.size() == 8);
        CHECK(!letters[0].value);
        CHECK(letters[0].details.error == "seven");
        CHECK(letters[0].details.operator_name == "send");
        CHECK(find(j.status(), "send").skipped == 8);
    }
}

TEST_CASE("dead letters of a source are the bytes as they came, with file, line and cause") {
    test::temporary_folder folder;
    const std::string path = folder.write("numbers.txt", "1\nx\n3\n");
    std::vector<int> out;
    std::vector<dead_letter<std::string>> letters;
    dead_letter_output<std::string> bad;
    pipeline p;
    p.from(parsed_lines<int>(path,
                             [](std::string_view line) -> std::optional<int> {
                                 if (line == "x") throw decode_error("not a number");
                                 return line[0] - '0';
                             }))
        .on_error(bad)
        .to(collect(out));
    bad.stream().to(collect(letters));
    std::move(p).start({.parallelism = 2}).wait();
    CHECK(out == std::vector<int>{1, 3});
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].value == "x");
    CHECK(letters[0].details.error == "not a number");
    CHECK(letters[0].details.where == path + ":2 byte 2");
}

TEST_CASE("failures do not change what becomes of the other records, whatever batches, parallelism and order of runs") {
    // Every letter is there once, every other record too, in order per key.
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        const std::size_t parallelism = 1 + seed % 3;
        const std::size_t batch_size = std::vector<std::size_t>{1, 2, 7, 64}[seed % 4];
        collected<int> out;
        collected<dead_letter<int>> letters;
        dead_letter_output<int> bad;
        auto tried = std::make_shared<std::map<int, int>>();
        pipeline p;
        p.from(collection(numbers(300), parallelism))
            .key_by([](int i) { return i % 5; })
            .reduce([](int, int next) { return next; })
            .map([tried](int i) {
                if (i % 7 == 0) throw std::domain_error("seven");
                if (i % 11 == 0 && ++(*tried)[i] < 3) throw std::domain_error("eleven");
                return i;
            })
            .retry(2, 1ms)
            .on_error(bad)
            .to(out);
        bad.stream().to(letters);
        sim_executor simulated(seed);
        std::move(p)
            .start({.parallelism = parallelism,
                    .batch_size = batch_size,
                    .channel_capacity = 1 + seed % 2,
                    .executor = &simulated,
                    .clock = &simulated.clock()})
            .wait();
        std::vector<int> got = out.values(), lost;
        for (const auto& letter : letters.values()) lost.push_back(*letter.value);
        std::map<int, std::vector<int>> by_key;
        for (int i : got) by_key[i % 5].push_back(i);
        if (parallelism == 1)
            for (const auto& [key, values] : by_key) CHECK(std::is_sorted(values.begin(), values.end()));
        CHECK(lost.size() == 43);
        CHECK(std::all_of(lost.begin(), lost.end(), [](int i) { return i % 7 == 0; }));
        got.insert(got.end(), lost.begin(), lost.end());
        std::sort(got.begin(), got.end());
        CHECK(got == numbers(300));
    }
}

namespace {

/// Emits its input, to the main output and to a side, and then fails for some of it.
struct moody {
    using output_type = int;
    using side_types = std::tuple<int>;
    value_state<int> seen;
    void open(state_setup& s) { seen = s.value<int>("seen"); }
    void on_record(const int& i, process_context<int, int>& c) {
        c.emit(i);
        c.side<0>().emit(i);
        if (i % 7 == 0) throw std::domain_error("seven");
        seen.set(seen.value_or(0) + 1);
        if (i >= 95) c.emit(1000 + seen.value_or(0));
    }
};

}  // namespace

TEST_CASE("a process function that fails leaves nothing of the record but its changes to state") {
    for (std::size_t batch_size : {1, 5, 512}) {
        std::vector<int> out, side;
        std::vector<dead_letter<int>> letters;
        dead_letter_output<int> bad;
        pipeline p;
        auto [main, aside] = p.from(collection(numbers(100)))
                                 .key_by([](int i) {
                                     if (i == 50) throw std::invalid_argument("no key");
                                     return i % 5;
                                 })
                                 .process(moody{});
        main.on_error(bad).to(collect(out));
        aside.to(collect(side));
        bad.stream().to(collect(letters));
        std::move(p).start({.batch_size = batch_size}).wait();
        CHECK(side.size() == 84);  // 15 multiples of seven and 50 are missing.
        CHECK(out.size() == 84 + 4);
        CHECK(std::count_if(out.begin(), out.end(), [](int i) { return i < 1000 && (i % 7 == 0 || i == 50); }) == 0);
        CHECK(letters.size() == 16);
        CHECK(*std::max_element(out.begin(), out.end()) == 1017);  // 20 of each key, three multiples of seven less.
    }
}

TEST_CASE("policies that cannot work are problems of the graph") {
    pipeline p;
    std::vector<std::unique_ptr<int>> none;
    dead_letter_output<int> unused, wrong;
    CHECK_THROWS_AS((void)unused.stream(), graph_error);
    auto s = p.from(collection(numbers(1)));
    CHECK_THROWS_AS(s.map([](int i) { return std::to_string(i); }).on_error(dead_letter_output<std::string>()), graph_error);
    s.map([](int i) { return i; }).on_error(unused).to(for_each([](int) {}));
    CHECK_THROWS_AS(s.map([](int i) { return i; }).on_error(unused), graph_error);
    s.map([](int i) { return std::make_unique<int>(i); }).filter([](const auto& x) { return *x > 0; }).to(
        for_each([](const auto&) {})).retry(1, 1s);
    const std::vector<std::string> problems = p.validate();
    auto has = [&](const std::string& text) {
        return std::any_of(problems.begin(), problems.end(),
                           [&](const std::string& q) { return q.find(text) != std::string::npos; });
    };
    CHECK(has("its dead letters go nowhere"));
    CHECK(has("cannot be copied"));

    pipeline q;
    q.from(timed_collection<int>({{1, timestamp(1)}}))
        .event_time(monotonous())
        .key_by([](int i) { return i; })
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .retry(3, 1s)
        .to(for_each([](const auto&) {}));
    REQUIRE(q.validate().size() == 1);
    CHECK(q.validate()[0].find("cannot retry: what its aggregate is given a second time fails a second time") !=
          std::string::npos);
}

TEST_CASE("what fails behind an operator ends the job, and is no failure of a record of that operator's") {
    struct twice {
        using output_type = int;
        void on_record(const int& i, process_context<int>& c) {
            c.emit(i);
            c.emit(i);
        }
    };
    bool failed = false;
    std::vector<int> out;
    pipeline p;
    p.from(collection(numbers(1000)))
        .key_by([](int i) { return i % 3; })
        .process(twice{})
        .on_error(on_error::skip)
        .map([&](int i) {
            if (i == 700 && !std::exchange(failed, true)) throw std::domain_error("behind");
            return i;
        })
        .named("next")
        .to(collect(out));
    job j = std::move(p).start({.batch_size = 64});
    try {
        j.wait();
        FAIL("the job has gone on");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "next");
    }
    CHECK(find(j.status(), "process_2").skipped == 0);
}

namespace {

/// Sums of numbers; multiples of seven can't be added, and sums that are multiples of three give no result.
struct picky_sum {
    std::int64_t create() const { return 0; }
    void add(std::int64_t& a, int i) const {
        if (i % 7 == 0) throw std::domain_error("seven");
        a += i;
    }
    void merge(std::int64_t& a, std::int64_t b) const { a += b; }
    std::int64_t result(std::int64_t a) const { return a % 3 == 0 ? throw std::domain_error("three") : a; }
};

struct window_results {
    std::vector<std::int64_t> sums;
    std::vector<std::string> letters;
    std::uint64_t skipped = 0;
    friend bool operator==(const window_results&, const window_results&) = default;
};

/// What `add_window(stream)` gives with its failures, in a job of 200 records.
template <class AddWindow>
window_results run_windows(AddWindow add_window, std::size_t parallelism, std::size_t batch_size, std::uint64_t seed) {
    std::vector<timed<int>> input;
    for (int i = 0; i < 200; ++i) input.push_back({i, timestamp(duration(i * 10 + (i % 3) * 25))});
    collected<dead_letter<int>> letters;
    dead_letter_output<int> bad;
    pipeline p;
    auto results = add_window(p.from(timed_collection(input, parallelism)).event_time(bounded_out_of_orderness(60ns)));
    collected<typename decltype(results)::value_type> out;
    results.named("window").on_error(bad).to(out);
    bad.stream().to(letters);
    sim_executor simulated(seed);
    job j = std::move(p).start({.parallelism = parallelism,
                                .batch_size = batch_size,
                                .executor = &simulated,
                                .clock = &simulated.clock()});
    j.wait();
    window_results all;
    for (const auto& r : out.values()) all.sums.push_back(r.value);
    for (const auto& l : letters.values())
        all.letters.push_back(l.details.error + " " + l.details.where + " " + to_string(l.details.time) + " " +
                              (l.value ? std::to_string(*l.value) : "none"));
    for (const operator_status& o : j.status().operators) all.skipped += o.skipped;
    std::sort(all.sums.begin(), all.sums.end());
    std::sort(all.letters.begin(), all.letters.end());
    return all;
}

template <class AddWindow>
window_results check_windows(AddWindow add_window) {
    const window_results expected = run_windows(add_window, 1, 1, 1);
    CHECK(expected.sums.size() > 5);
    CHECK(expected.letters.size() == expected.skipped);
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        const std::size_t batch_size = std::vector<std::size_t>{1, 2, 7, 64}[seed % 4];
        CHECK(run_windows(add_window, 1 + seed % 3, batch_size, seed) == expected);
    }
    return expected;
}

}  // namespace

TEST_CASE("windows leave out records and results alike whatever batches and parallelism; dead letters have all of them") {
    const auto key = [](int i) { return i % 5; };
    const auto by_key = [&](const auto& windows) {
        return check_windows([&](auto s) { return s.key_by(key).window(windows).aggregate(picky_sum{}); });
    };
    const window_results keyed = by_key(tumbling(500ns).lateness(500ns));
    CHECK(std::count_if(keyed.letters.begin(), keyed.letters.end(),
                        [](const std::string& l) { return l.find("seven") == 0; }) == 29);
    CHECK(std::count_if(keyed.letters.begin(), keyed.letters.end(), [](const std::string& l) {
              return l.find("three key ") == 0 && l.find(", window [1970") == std::string("three key 0").size();
          }) > 0);
    by_key(session(40ns).drop_late());
    by_key(tumbling(500ns).drop_late().early(every(100ns)).accumulating());
}

TEST_CASE("windows without a key, and those in two stages, send the failures of both stages to one place") {
    const auto all = [](auto s) { return s.window_all(tumbling(100ns).drop_late()).aggregate(picky_sum{}); };
    const window_results two_stages = check_windows(all);
    CHECK(std::count_if(two_stages.letters.begin(), two_stages.letters.end(),
                        [](const std::string& l) { return l.find("three window [1970") == 0; }) > 0);
    const auto key = [](int i) { return i % 5; };
    const auto spec = sliding(200ns, 100ns).drop_late();
    const window_results pre_aggregated = check_windows(
        [&](auto s) { return aggregate_in_two_stages(s, key, spec, picky_sum{}); });
    CHECK(pre_aggregated ==
          check_windows([&](auto s) { return s.key_by(key).window(spec).aggregate(picky_sum{}); }));
}

TEST_CASE("a graph says of a window in two stages that its dead letters have the type of the records that go in") {
    pipeline p;
    dead_letter_output<std::string> wrong;
    auto s = p.from(timed_collection<int>({{1, timestamp(1)}})).event_time(monotonous());
    CHECK_THROWS_AS(s.window_all(tumbling(1s).drop_late()).aggregate(count()).on_error(wrong), graph_error);
}
