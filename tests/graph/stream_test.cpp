#include "runnel/graph/stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"
#include "tests/support/print.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct click {
    std::string user;
    timestamp at;
};

std::vector<int> numbers(int n) {
    std::vector<int> all;
    for (int i = 0; i < n; ++i) all.push_back(i);
    return all;
}

std::vector<click> clicks() {
    return {{"ann", timestamp(1s)}, {"bob", timestamp(2s)}, {"ann", timestamp(15s)}, {"ann", timestamp(3s)}};
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
}

template <class T>
std::vector<T> sorted(std::vector<T> all) {
    std::sort(all.begin(), all.end());
    return all;
}

void run(pipeline&& p, job_options options = {}) { std::move(p).start(options).wait(); }

std::vector<std::string> problems_of_start(pipeline&& p, const job_options& options = {}) {
    try {
        auto job = std::move(p).start(options);
    } catch (const graph_error& e) {
        return e.problems();
    }
    return {};
}

bool mentions(const std::vector<std::string>& problems, const std::string& text) {
    return std::any_of(problems.begin(), problems.end(),
                       [&](const std::string& p) { return p.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("steps in one expression are one operator, and give what they would one by one") {
    pipeline p("test");
    std::vector<std::string> out;
    p.from(collection(numbers(10)))
        .map([](int x) { return x * x; })
        .filter([](int x) { return x % 2 == 1; })
        .flat_map([](int x) { return std::vector<int>{x, -x}; })
        .map([](int x) { return std::to_string(x); })
        .to(collect(out));
    CHECK(p.describe() ==
          "pipeline 'test'\n"
          "  source_1: source (collection) x1\n"
          "  map_filter_flat_map_map_2: map, filter, flat_map, map x1 <- source_1 [chained]\n"
          "  sink_3: sink (collect) x1 <- map_filter_flat_map_map_2 [chained]\n");
    run(std::move(p));
    CHECK(out == std::vector<std::string>{"1", "-1", "9", "-9", "25", "-25", "49", "-49", "81", "-81"});
}

TEST_CASE("a stream kept in a variable and used twice runs its steps once") {
    pipeline p;
    int calls = 0;
    std::vector<int> all;
    std::vector<int> even;
    auto squares = p.from(collection(numbers(100))).map([&calls](int x) { return ++calls, x * x; });
    squares.to(collect(all));
    squares.filter([](int x) { return x % 2 == 0; }).to(collect(even));
    const auto copy = squares;
    copy.map([](int x) { return x; }).to(null_sink());
    CHECK(count_of(p.describe(), ": map x1 <- source_1") == 1);
    run(std::move(p));
    CHECK(calls == 100);
    CHECK(all.size() == 100);
    CHECK(even.size() == 50);
}

TEST_CASE("a name goes to the operator written last, before and after it has been used") {
    pipeline p;
    auto s = p.from(collection(numbers(3))).named("numbers");
    auto halves = s.map([](int x) { return x / 2; }).named("halve").filter([](int) { return true; }).named("all");
    halves.to(null_sink()).named("nowhere");
    auto later = s.map([](int x) { return x; });
    later.to(null_sink()).named("also nowhere");
    later.named("copy");
    const std::string text = p.describe();
    CHECK(text.find("  numbers: source") != std::string::npos);
    CHECK(text.find("  halve+all: map, filter x1 <- numbers") != std::string::npos);
    CHECK(text.find("  nowhere: sink") != std::string::npos);
    CHECK(text.find("  copy: map x1 <- numbers") != std::string::npos);
    CHECK(text.find("also nowhere: sink (null) x1 <- copy") != std::string::npos);
}

TEST_CASE("a failing step is named by the name it was given") {
    pipeline p;
    p.from(collection(numbers(3)))
        .map([](int x) { return x; })
        .named("first")
        .map([](int x) { return x == 2 ? throw std::runtime_error("two") : x; })
        .named("second")
        .to(null_sink());
    try {
        run(std::move(p));
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "second");
        CHECK_THROWS_WITH_AS(std::rethrow_if_nested(e), "two", std::runtime_error);
    }
}

TEST_CASE("a merged stream is no operator and cannot be named") {
    pipeline p;
    auto a = p.from(collection(numbers(3)));
    auto b = p.from(collection(numbers(3)));
    CHECK_THROWS_AS(a.merge(b).named("both"), graph_error);
}

TEST_CASE("merge has all records of all its streams") {
    for (const std::size_t parallelism : {1, 3}) {
        pipeline p;
        std::vector<int> out;
        auto a = p.from(collection(numbers(10), 3));
        auto b = p.from(collection(numbers(20))).map([](int x) { return 100 + x; });
        auto c = p.from(collection(numbers(5)));
        merge(a, b, c).map([](int x) { return x; }).to(collect(out));
        run(std::move(p), {.parallelism = parallelism, .batch_size = 2});
        CHECK(out.size() == 35);
        std::vector<int> of_b;
        std::copy_if(out.begin(), out.end(), std::back_inserter(of_b), [](int x) { return x >= 100; });
        CHECK(std::is_sorted(of_b.begin(), of_b.end()));  // Each input keeps its order.
    }
}

TEST_CASE("a stream merged with itself has each record twice") {
    pipeline p;
    std::vector<int> out;
    auto a = p.from(collection(numbers(50)));
    a.merge(a).to(collect(out));
    run(std::move(p), {.batch_size = 3});
    CHECK(out.size() == 100);
}

TEST_CASE("streams of different pipelines cannot be merged") {
    pipeline p;
    pipeline q;
    auto a = p.from(collection(numbers(3)));
    auto b = q.from(collection(numbers(3)));
    CHECK_THROWS_WITH_AS(a.merge(b),
                         "the graph cannot run:\n  - merge: the two streams belong to different pipelines. Merge streams "
                         "of one pipeline.",
                         graph_error);
}

TEST_CASE("split gives each record to one of two streams; the rest may be left alone") {
    pipeline p;
    std::vector<int> small;
    std::vector<int> large;
    std::vector<int> even;
    auto s = p.from(collection(numbers(10)));
    auto [lower, upper] = s.split([](int x) { return x < 3; });
    lower.to(collect(small));
    upper.to(collect(large));
    s.split([](int x) { return x % 2 == 0; }).first.to(collect(even));
    run(std::move(p));
    CHECK(small == std::vector<int>{0, 1, 2});
    CHECK(large == std::vector<int>{3, 4, 5, 6, 7, 8, 9});
    CHECK(even == std::vector<int>{0, 2, 4, 6, 8});
}

TEST_CASE("peek sees every record once and changes none") {
    pipeline p;
    int sum = 0;
    std::vector<int> out;
    p.from(collection(numbers(10))).peek([&](const int& x) { sum += x; }).to(collect(out));
    run(std::move(p));
    CHECK(sum == 45);
    CHECK(out == numbers(10));
}

namespace {

/// Sorts numbers by sign: an operator of a user's own, with side outputs of other types.
struct by_sign {
    using input_type = int;
    using output_type = int;
    using side_types = std::tuple<std::string, double>;
    output<std::string>* negative = nullptr;
    output<double>* zero = nullptr;
    void open(const operator_context&, output<std::string>& n, output<double>& z) { negative = &n, zero = &z; }
    void on_record(int&& x, timestamp t, output<int>& out) {
        if (x > 0) out.emit(x, t);
        else if (x < 0) negative->emit(std::to_string(x), t);
        else zero->emit(0.0, t);
    }
};

/// Counts the records of each key that it sees.
struct counting {
    using input_type = int;
    using output_type = std::pair<int, int>;
    std::map<int, int> seen;
    void on_record(int&& x, timestamp t, output<std::pair<int, int>>& out) { out.emit({x % 10, ++seen[x % 10]}, t); }
};

}  // namespace

TEST_CASE("an operator of the user's own gives its output, or a tuple if it has several") {
    pipeline p;
    std::vector<int> positive;
    std::vector<std::string> negative;
    std::vector<double> zero;
    auto [a, b, c] = p.from(collection({-2, 0, 3, -1, 4})).then(by_sign{}, "by sign");
    a.to(collect(positive));
    b.to(collect(negative));
    c.to(collect(zero));
    CHECK(p.describe().find("by sign") != std::string::npos);
    run(std::move(p));
    CHECK(positive == std::vector<int>{3, 4});
    CHECK(negative == std::vector<std::string>{"-2", "-1"});
    CHECK(zero.size() == 1);
}

TEST_CASE("behind key_by all records of a key meet in one place, in order, at any parallelism") {
    for (const std::size_t parallelism : {1, 2, 4, 7}) {
        CAPTURE(parallelism);
        pipeline p;
        std::vector<std::pair<int, int>> out;
        p.from(collection(numbers(1000), 5)).key_by([](int x) { return x % 10; }).then(counting{}).to(collect(out));
        run(std::move(p), {.parallelism = parallelism, .batch_size = 7});
        REQUIRE(out.size() == 1000);
        std::map<int, int> last;
        for (const auto& [key, n] : out) CHECK(n == ++last[key]);
    }
}

TEST_CASE("reduce behind key_by") {
    for (const std::size_t parallelism : {1, 3}) {
        pipeline p;
        std::vector<int> out;
        p.from(collection({1, 12, 3, 22, 5}))
            .key_by([](int x) { return x % 10 == 2; })
            .reduce([](int kept, int next) { return kept + next; })
            .to(collect(out));
        run(std::move(p), {.parallelism = parallelism});
        CHECK(sorted(out) == std::vector<int>{1, 4, 9, 12, 34});
    }
}

TEST_CASE("a key that is NaN ends the job with an error that says so, at any parallelism") {
    for (const std::size_t parallelism : {1, 3}) {
        CAPTURE(parallelism);
        pipeline p;
        p.from(collection({1.0, 2.0, std::nan("")}, 2))
            .key_by([](double x) { return x; })
            .reduce([](double, double b) { return b; })
            .named("latest")
            .to(null_sink());
        try {
            run(std::move(p), {.parallelism = parallelism});
            FAIL("nothing was thrown");
        } catch (const job_error& e) {
            CHECK(std::string(e.what()).find("NaN") != std::string::npos);
        }
    }
}

TEST_CASE("sources and sinks may be shared with the host") {
    pipeline p;
    auto source = std::make_shared<collection_source<int>>(collection(numbers(4)));
    std::vector<int> out;
    auto sink = std::make_shared<collect_sink<int, int>>(out);
    p.from(source).to(sink);
    run(std::move(p));
    CHECK(out == numbers(4));
}

TEST_CASE("a late output is used after its window has got its aggregate, and by one window") {
    pipeline p;
    auto s = p.from(collection(clicks())).event_time(&click::at, monotonous());
    late_output<click> late;
    CHECK_THROWS_AS(late.stream(), graph_error);
    std::vector<std::string> on_time;
    std::vector<std::string> too_late;
    auto windowed = s.key_by(&click::user).window(tumbling(10s).drop_late().late_to(late));
    CHECK_THROWS_AS(late.stream(), graph_error);
    windowed.aggregate(count())
        .map([](const auto& w) { return w.key + " " + std::to_string(w.value); })
        .to(collect(on_time));
    late.stream().map([](const late_record<click>& l) { return l.value.user; }).to(collect(too_late));
    CHECK_THROWS_AS(s.key_by(&click::user).window(tumbling(10s).drop_late().late_to(late)).aggregate(count()),
                    graph_error);
    CHECK(p.describe().find("side output 1") != std::string::npos);
}

TEST_CASE("late records come out of the late output, the others are counted") {
    for (const std::size_t parallelism : {1, 2}) {
        pipeline p;
        late_output<click> late;
        std::vector<std::string> on_time;
        std::vector<std::string> too_late;
        p.from(collection(clicks()))
            .event_time(&click::at, monotonous())
            .key_by(&click::user)
            .window(tumbling(10s).drop_late().late_to(late))
            .aggregate(count())
            .map([](const auto& w) { return w.key + " " + std::to_string(w.value); })
            .to(collect(on_time));
        late.stream().map([](const late_record<click>& l) { return l.value.user; }).to(collect(too_late));
        run(std::move(p), {.parallelism = parallelism});
        CHECK(sorted(on_time) == std::vector<std::string>{"ann 1", "ann 1", "bob 1"});
        CHECK(too_late == std::vector<std::string>{"ann"});
    }
}

TEST_CASE("a bad graph throws from start, with all its problems, before anything is opened") {
    struct watched final : source<click> {
        std::shared_ptr<std::atomic<int>> opened = std::make_shared<std::atomic<int>>(0);
        std::string name() const override { return "watched"; }
        std::vector<std::string> splits() override { return {"0"}; }
        std::unique_ptr<split_reader<click>> open(const std::string&, const std::string*, const reader_context&) override {
            ++*opened;
            throw io_error("must not be opened", 0);
        }
        std::vector<std::string> problems() const override { return {"it has a problem of its own"}; }
    };
    pipeline p;
    watched w;
    auto opened = w.opened;
    auto s = p.from(w).named("same");
    s.key_by(&click::user).window(tumbling(0s).drop_late()).aggregate(count()).named("same");
    const std::vector<std::string> problems = problems_of_start(
        std::move(p), {.parallelism = 0, .batch_size = 0, .channel_capacity = 0, .key_groups = 0});
    CHECK(mentions(problems, "it has a problem of its own"));
    CHECK(mentions(problems, "no sink"));
    CHECK(mentions(problems, "2 operators are named 'same'"));
    CHECK(mentions(problems, "needs event time"));
    CHECK(mentions(problems, "size"));
    CHECK(mentions(problems, "goes nowhere"));
    CHECK(mentions(problems, "parallelism of the job is 0"));
    CHECK(mentions(problems, "batch_size is 0"));
    CHECK(mentions(problems, "channel_capacity is 0"));
    CHECK(mentions(problems, "key_groups"));
    CHECK(*opened == 0);
}

TEST_CASE("validate says what start would") {
    pipeline p;
    CHECK(mentions(p.validate(), "empty"));
    auto s = p.from(collection(clicks()));
    CHECK(mentions(p.validate(), "no sink"));
    auto counted = s.key_by(&click::user).window(tumbling(10s).drop_late()).aggregate(count());
    counted.to(null_sink());
    CHECK(mentions(p.validate(), "needs event time"));
    s.event_time(&click::at, bounded_out_of_orderness(-1s));
    CHECK_FALSE(mentions(p.validate(), "needs event time"));
    CHECK(mentions(p.validate(), "bound"));
}

TEST_CASE("of several event times given to one source the last one counts, with its problems alone") {
    pipeline p;
    auto s = p.from(collection(clicks())).event_time(&click::at, bounded_out_of_orderness(-1s));
    s.event_time(&click::at, bounded_out_of_orderness(1s)).to(null_sink());
    CHECK(p.validate().empty());
}

TEST_CASE("a window over merged streams needs event time at every source") {
    pipeline p;
    auto a = p.from(collection(clicks())).event_time(&click::at, monotonous());
    auto b = p.from(collection(clicks()));
    merge(a, b).key_by(&click::user).window(tumbling(10s).drop_late()).aggregate(count()).to(null_sink());
    CHECK(mentions(p.validate(), "needs event time"));
    b.event_time(&click::at, monotonous());
    CHECK(p.validate().empty());
}

TEST_CASE("records that cannot be copied can go to one place only") {
    pipeline p;
    auto s = p.from(collection(numbers(3))).map([](int x) { return std::make_unique<int>(x); });
    std::vector<int> out;
    s.map([](std::unique_ptr<int> x) { return *x; }).to(collect(out));
    CHECK(p.validate().empty());
    s.to(null_sink());
    CHECK(mentions(p.validate(), "cannot be copied"));
}

TEST_CASE("a pipeline that was started is used up") {
    pipeline p;
    p.from(collection(numbers(3))).to(null_sink());
    run(std::move(p));
    CHECK(mentions(p.validate(), "empty"));
}

TEST_CASE("dot shows the same graph") {
    pipeline p("picture");
    p.from(collection(numbers(3))).map([](int x) { return x; }).to(null_sink());
    const std::string dot = p.dot(2);
    CHECK(dot.find("digraph \"picture\"") == 0);
    CHECK(count_of(dot, "->") == 2);
    CHECK(count_of(dot, "[label=\"chained\"]") == 2);
}
