#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/operators/process.hpp"
#include "runnel/testing/harness.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

using record = std::pair<int, int>;

struct first {
    int operator()(const record& r) const { return r.first; }
};

/// Writes what positive numbers say and shows all there is.
struct function {
    using output_type = std::string;
    state_options options;
    value_state<int> value{};
    list_state<int> list{};
    map_state<int, int> map{};
    event_timer timer{};

    void open(state_setup& s) {
        value = s.value<int>("value", options);
        list = s.list<int>("list", options);
        map = s.map<int, int>("map", options);
        timer = s.event_timer("timer");
    }
    void on_record(const record& r, process_context<std::string>& c) {
        if (r.second > 0) {
            value.set(r.second);
            list.add(r.second);
            map.put(r.second, r.second);
        } else if (r.second < 0) {
            timer.set(timestamp(std::chrono::seconds(-r.second)));
        } else {
            show(c);
        }
    }
    void on_timer(const timer_event&, process_context<std::string>& c) { show(c); }

private:
    void show(process_context<std::string>& c) {
        std::string text = value.get() ? std::to_string(*value.get()) : "none";
        text += " list";
        for (const int i : list.elements()) text += " " + std::to_string(i);
        text += " map";
        map.for_each([&](int k, int) { text += " " + std::to_string(k); });
        c.emit(text);
    }
};

struct driven : testing::operator_harness<process_operator<int, record, first, function>> {
    explicit driven(state_options options)
        : operator_harness(process_operator<int, record, first, function>(first{}, function{.options = options}),
                           {.state = tests::state_under_test()}) {}
    void write(int number, duration at, int key = 1) { push({key, number}, timestamp(at)); }
    std::string show(duration at, int key = 1) {
        push({key, 0}, timestamp(at));
        return take_outputs().at(0).value;
    }
};

}  // namespace

TEST_CASE("by event time, state has expired for a record that is a time to live later, each element for itself") {
    driven d({.ttl = 10s});
    d.write(1, 1s);
    d.write(2, 5s);
    CHECK(d.show(11s - 1ns) == "2 list 1 2 map 1 2");
    CHECK(d.show(11s) == "2 list 2 map 2");
    CHECK(d.show(15s - 1ns) == "2 list 2 map 2");
    CHECK(d.show(15s) == "none list map");
}

TEST_CASE("which record finds what does not depend on when watermarks come") {
    for (const int every : {1, 2, 3, 100}) {
        driven d({.ttl = 10s});
        std::string all;
        for (int i = 0; i < 60; ++i) {
            d.write(i % 7 == 0 ? i + 1 : -1'000'000, std::chrono::seconds(3 * i));
            all += d.show(std::chrono::seconds(3 * i + 1)) + "\n";
            if (i % every == 0) d.watermark(timestamp(std::chrono::seconds(3 * i)));
        }
        static const std::string expected = all;
        CHECK(all == expected);
    }
}

TEST_CASE("an earlier record still finds what has expired for a later one, and makes nothing older") {
    driven d({.ttl = 10s});
    d.write(1, 1s);
    CHECK(d.show(20s) == "none list map");
    CHECK(d.show(2s) == "1 list 1 map 1");
    d.write(1, 5s);
    d.write(1, 3s);
    CHECK(d.show(15s - 1ns) == "1 list 1 1 map 1");
    CHECK(d.show(15s) == "none list map");
}

TEST_CASE("a late record is as old as the watermark, so that it never finds what may have been removed") {
    driven d({.ttl = 10s});
    d.write(1, 1s);
    d.watermark(timestamp(11s));
    CHECK(d.show(2s) == "none list map");
    d.write(2, 3s);  // Late, and as old as the watermark.
    CHECK(d.show(21s - 1ns) == "2 list 2 map 2");
    CHECK(d.show(21s) == "none list map");
}

TEST_CASE("a timer finds what had not expired at its time, however far the watermark goes at once") {
    driven d({.ttl = 10s});
    d.write(1, 1s);
    d.write(-10, 1s);
    d.write(-11, 1s);
    d.watermark(timestamp(1h));
    CHECK(d.outputs().size() == 2);
    CHECK(d.outputs()[0].value == "1 list 1 map 1");
    CHECK(d.outputs()[1].value == "none list map");
}

TEST_CASE("refreshed on read and write, reading keeps state; refreshed on write it does not") {
    for (const bool by_reading : {false, true}) {
        CAPTURE(by_reading);
        driven d({.ttl = 10s, .refresh = by_reading ? ttl_refresh::on_read_and_write : ttl_refresh::on_write});
        d.write(1, 1s);
        (void)d.show(8s);
        CHECK(d.show(17s) == (by_reading ? "1 list 1 map 1" : "none list map"));
        CHECK(d.show(27s) == "none list map");
    }
}

TEST_CASE("by processing time, state expires by the clock, whatever the times of records") {
    driven d({.ttl = 10s, .clock = ttl_clock::processing});
    d.write(1, 100s);
    d.clock_at(timestamp(10s).previous());
    CHECK(d.show(1h) == "1 list 1 map 1");
    d.clock_at(timestamp(10s));
    CHECK(d.show(1s) == "none list map");
}

TEST_CASE("what has expired and is written again begins anew") {
    driven d({.ttl = 10s});
    d.write(1, 1s);
    d.write(3, 20s);
    CHECK(d.show(20s) == "3 list 3 map 3");
    d.watermark(timestamp(29s));
    CHECK(d.get().live_keys() == 1);
    d.watermark(timestamp(30s));
    CHECK(d.get().live_keys() == 0);
}

TEST_CASE("expired state is removed without being touched, by the watermark or by the clock") {
    for (const ttl_clock by : {ttl_clock::event, ttl_clock::processing}) {
        driven d({.ttl = 10s, .clock = by});
        for (int key = 0; key < 1000; ++key) d.write(1 + key % 3, 1s, key);
        for (int key = 0; key < 500; ++key) d.write(7, 5s, key);
        CHECK(d.get().live_keys() == 1000);
        if (by == ttl_clock::event) {
            d.watermark(timestamp(11s));
            CHECK(d.get().live_keys() == 500);
            d.watermark(timestamp(15s));
        } else {
            d.clock_at(timestamp(11s));
        }
        CHECK(d.get().live_keys() == 0);
        d.write(4, 30s, 3);
        CHECK(d.show(31s, 3) == "4 list 4 map 4");
    }
}

TEST_CASE("state that is touched again and again before it expires is kept once, and removed in the end") {
    driven d({.ttl = 10s});
    for (int i = 1; i <= 1000; ++i) {
        d.write(1 + i % 2, std::chrono::seconds(i));
        d.watermark(timestamp(std::chrono::seconds(i)));
    }
    CHECK(d.show(1000s) == "1 list 2 1 2 1 2 1 2 1 2 1 map 1 2");
    d.watermark(timestamp(1010s));
    CHECK(d.get().live_keys() == 0);
}

TEST_CASE("an element of a map that was erased and written again lives from then on") {
    struct erasing {
        using output_type = int;
        map_state<int, int> map{};
        void open(state_setup& s) { map = s.map<int, int>("map", {.ttl = 10s}); }
        void on_record(const record& r, process_context<int>& c) {
            if (r.second == 0) map.erase(1);
            else if (r.second > 0) map.put(1, r.second);
            else c.emit(map.value_or(1, -1));
        }
    };
    testing::operator_harness h(process_operator<int, record, first, erasing>(first{}, {}),
                                {.state = tests::state_under_test()});
    for (int i = 0; i < 100; ++i) {
        h.push({1, 1}, timestamp(std::chrono::seconds(i)));
        h.push({1, 0}, timestamp(std::chrono::seconds(i)));
        h.push({1, i + 1}, timestamp(std::chrono::seconds(i)));
        h.watermark(timestamp(std::chrono::seconds(i)));
    }
    h.push({1, -1}, timestamp(109s) - 1ns);
    h.watermark(timestamp(109s) - 1ns);
    CHECK(h.get().live_keys() == 1);
    h.push({1, -1}, timestamp(109s));
    h.watermark(timestamp(109s));
    CHECK(h.get().live_keys() == 0);
    CHECK(h.outputs()[0].value == 100);
    CHECK(h.outputs()[1].value == -1);
}
