#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/operators/process.hpp"
#include "runnel/testing/grid.hpp"
#include "runnel/testing/harness.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using runnel::testing::operator_harness;
using runnel::testing::script;

namespace {

using order = std::pair<int, int>;  // customer, amount
using rate = std::pair<int, std::string>;

struct first {
    template <class T>
    int operator()(const T& r) const {
        return r.first;
    }
};

/// Pairs each order with the customer's last text, and each text with the sum of orders until then.
struct pairing {
    using output_type = std::string;
    using context = process_context<std::string>;
    value_state<std::string> last;
    reducing_state<int> sum;
    event_timer forget;
    void open(state_setup& s) {
        last = s.value<std::string>("last");
        sum = s.reducing<int>("sum", [](int a, int b) { return a + b; });
        forget = s.event_timer("forget");
    }
    void on_record(const order& o, context& c) {
        sum.add(o.second);
        forget.set(c.time() + std::chrono::seconds(1));
        c.emit(std::to_string(o.first) + ":" + last.value_or("nothing") + std::to_string(o.second));
    }
    void on_second(const rate& r, context& c) {
        last.set(r.second);
        c.emit(std::to_string(r.first) + ":" + std::to_string(sum.get() ? *sum.get() : 0));
    }
    void on_timer(const timer_event&, context&) { sum.clear(); }
};
using connected = connected_process_operator<int, order, first, rate, first, pairing>;

/// Scales orders by a rate that all subtasks know.
struct scaling {
    using output_type = std::string;
    broadcast_state<std::string, int> rates;
    value_state<int> count;
    void open(state_setup& s) {
        rates = s.broadcast<std::string, int>("rates");
        count = s.value<int>("count");
    }
    void on_record(const order& o, process_context<std::string>& c) {
        std::string text = std::to_string(o.first) + ":" + std::to_string(++count.get_or_create());
        rates.for_each([&](const std::string& name, int r) { text += " " + name + std::to_string(r * o.second); });
        c.emit(text + (rates.contains("x") ? " x" : ""));
    }
    void on_broadcast(const rate& r, broadcast_context<std::string>& c) {
        if (r.first == 0) c.erase(rates, r.second);
        else c.put(rates, r.second, r.first);
    }
};
using broadcasting = broadcast_process_operator<int, order, first, rate, scaling>;

/// Both inputs of an operator as one, so that it can run in the grid.
template <class Op>
class one_input : public Op {
public:
    using input_type = std::variant<order, rate>;
    using output_type = std::string;
    explicit one_input(Op op) : Op(std::move(op)) {}
    progress process(batch<input_type>& in, output<std::string>& out) {
        for (std::size_t i = in.cursor(); i < in.size(); in.consume_until(++i)) {
            if (!out.ready()) return progress::blocked;
            const input_type both = std::as_const(in).value(i);
            if (const order* o = std::get_if<order>(&both)) {
                batch<order> one;
                one.append(*o, in.time(i));
                if (Op::process(one, out) == progress::blocked) return progress::blocked;
            } else {
                Op::on_second(rate(std::get<rate>(both)), in.time(i), out);
            }
        }
        return progress::done;
    }
};

}  // namespace

TEST_CASE("the second input of a function meets the same state, and the same timers") {
    operator_harness h(connected(first{}, first{}, pairing{}), {.state = tests::state_under_test()});
    h.push({1, 5}, timestamp(1));
    h.push_second(rate(1, "a"), timestamp(1));
    h.push({1, 6}, timestamp(2));
    h.push({2, 7}, timestamp(2));
    h.push_second(rate(1, "b"), timestamp(3));
    h.watermark(timestamp(std::chrono::seconds(2)));
    h.push_second(rate(1, "c"), timestamp(std::chrono::seconds(3)));
    std::string all;
    for (const auto& r : h.outputs()) all += r.value + " ";
    CHECK(all == "1:nothing5 1:5 1:a6 2:nothing7 1:11 1:0 ");
}

TEST_CASE("a function of two inputs gives the same in every way, with snapshots and other parallelism") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        using both = std::variant<order, rate>;
        const auto input = runnel::testing::random_script<both>(seed, [](auto& random) -> both {
            const int key = static_cast<int>(random() % 6);
            if (random() % 3 == 0) return rate(key, std::string(1, static_cast<char>('a' + random() % 5)));
            return order(key, static_cast<int>(random() % 9));
        });
        runnel::testing::grid_options<both, std::string> options;
        options.group_of = [](const both& b, std::size_t groups) {
            return key_group_of(std::visit([](const auto& r) { return r.first; }, b), groups);
        };
        options.result_key = [](const std::string& text) { return text.substr(0, text.find(':')); };
        options.uneven_watermarks = true;
        CHECK(run_grid(one_input<connected>(connected(first{}, first{}, pairing{})), input, options) > 60);
    }
}

TEST_CASE("broadcast records write state that keyed records read, for every key") {
    operator_harness h(broadcasting(first{}, scaling{}));
    h.push({1, 5}, timestamp(1));
    h.push_second(rate(2, "x"), timestamp(1));
    h.push_second(rate(3, "y"), timestamp(1));
    h.push({1, 5}, timestamp(1));
    h.push({2, 1}, timestamp(1));
    h.push_second(rate(0, "x"), timestamp(1));
    h.push({2, 1}, timestamp(1));
    std::string all;
    for (const auto& r : h.outputs()) all += r.value + ", ";
    CHECK(all == "1:1, 1:2 x10 y15 x, 2:1 x2 y3 x, 2:2 y3, ");
}

TEST_CASE("each subtask saves its copy of broadcast state, and new subtasks begin with a copy") {
    operator_snapshot all;
    constexpr std::size_t before = 2, after = 5;
    for (std::size_t i = 0; i < before; ++i) {
        operator_harness h(broadcasting(first{}, scaling{}), {.parallelism = before, .subtask = i});
        h.push_second(rate(2, "x"), timestamp(1));
        h.push_second(rate(4, "y"), timestamp(1));
        all.add(h.snapshot());
    }
    CHECK(all.local["broadcast rates"].size() == before);
    for (std::size_t i = 0; i < after; ++i) {
        operator_harness h(broadcasting(first{}, scaling{}), {.parallelism = after, .subtask = i});
        h.restore(all);
        h.push({1, 1}, timestamp(2));
        CHECK(h.outputs().at(0).value == "1:1 x2 y4 x");
    }
}

TEST_CASE("what broadcast records write behind a barrier is not in its snapshot") {
    operator_harness h(broadcasting(first{}, scaling{}));
    for (int i = 1; i <= 100; ++i) h.push_second(rate(i, std::to_string(i)), timestamp(1));
    const operator_snapshot at_once = h.snapshot();
    CHECK(h.begin_snapshot());
    h.push_second(rate(0, "50"), timestamp(2));
    h.push_second(rate(7, "1"), timestamp(2));
    h.push_second(rate(7, "another"), timestamp(2));
    CHECK(h.finish_snapshot() == at_once);
    operator_harness<broadcasting> again(broadcasting(first{}, scaling{}));
    again.restore(h.snapshot());
    again.push({1, 1}, timestamp(3));
    const std::string& text = again.outputs().at(0).value;
    CHECK(text.starts_with("1:1 17 10"));
    CHECK(text.find(" 50") == std::string::npos);
    CHECK(text.ends_with(" another7"));
}

TEST_CASE("keyed state cannot be used for a broadcast record: there is no key") {
    struct wrong {
        using output_type = int;
        value_state<int> v;
        void open(state_setup& s) { v = s.value<int>("v"); }
        void on_record(const order&, process_context<int>&) {}
        void on_broadcast(const rate&, broadcast_context<int>&) { v.set(1); }
    };
    operator_harness h(broadcast_process_operator<int, order, first, rate, wrong>(first{}, wrong{}));
    CHECK_THROWS_WITH_AS(h.push_second(rate(1, "x"), timestamp(1)), doctest::Contains("where there is no key"), job_error);
}
