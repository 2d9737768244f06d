#include "runnel/source/inlet.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/random.hpp"

using namespace runnel;

namespace {

using kind = poll_result::kind;

/// The reader of an inlet in the hands of a test.
template <class T>
struct reading {
    explicit reading(inlet<T>& from, bool takes_times = false) {
        context.wake = [this] { ++wakes; };
        context.bad_record = [this](std::string_view where, std::string_view why, std::string_view) {
            bad.push_back(std::string(where) + ": " + std::string(why));
        };
        context.takes_times = takes_times;
        reader = from.open("0", nullptr, context);
    }
    kind poll(std::size_t limit = 100) { return reader->poll(got, limit).what; }
    /// Reads all there is.
    std::vector<T> all(std::size_t limit = 100) {
        while (poll(limit) == kind::more) {}
        return values();
    }
    std::vector<T> values() const { return {got.values(), got.values() + got.size()}; }

    reader_context context;
    int wakes = 0;
    std::vector<std::string> bad;
    batch<T> got;
    std::unique_ptr<split_reader<T>> reader;
};

/// How a push ended.
struct outcome {
    int calls = 0;
    std::string refused;
    auto note() {
        return [this](std::exception_ptr e) {
            ++calls;
            try {
                if (e) std::rethrow_exception(e);
            } catch (const inlet_closed& c) {
                refused = c.what();
            }
        };
    }
};

}  // namespace

TEST_CASE("what is pushed is read in order, whatever the size of polls; pushes before the start count") {
    for (std::size_t limit : {1, 2, 3, 100}) {
        CAPTURE(limit);
        inlet<std::string> in;
        in.push("a");
        in.push("b");
        reading r(in);
        CHECK(r.all(limit) == std::vector<std::string>{"a", "b"});
        for (char c = 'c'; c < 'k'; ++c) in.push(std::string(1, c));
        CHECK(r.all(limit).size() == 10);
        in.close();
        CHECK(r.poll(limit) == kind::finished);
        std::string text;
        for (const std::string& s : r.values()) text += s;
        CHECK(text == "abcdefghij");
    }
}

TEST_CASE("an inlet is full at its capacity: try_push says no and leaves the value as it was") {
    inlet<std::string> in({.capacity = 2});
    const std::string constant = "two";
    CHECK(in.try_push("one"));
    CHECK(in.try_push(constant));
    std::string third = "three";
    CHECK_FALSE(in.try_push(std::move(third)));
    CHECK(third == "three");
    CHECK(in.unread() == 2);
    reading r(in);
    CHECK(r.poll(1) == kind::more);
    CHECK_FALSE(in.try_push(std::move(third)));  // On its way: whether it arrives shows at the next poll.
    CHECK(r.poll(1) == kind::more);
    CHECK(in.try_push(std::move(third)));
    CHECK(in.unread() == 2);
    CHECK(r.all() == std::vector<std::string>{"one", "two", "three"});
    CHECK(in.unread() == 0);
}

TEST_CASE("the reader is woken by what it waits for, and only once") {
    inlet<int> in;
    reading r(in);
    in.push(1);
    CHECK(r.wakes == 0);
    CHECK(r.all() == std::vector{1});
    in.push(2);
    in.push(3);
    CHECK(r.wakes == 1);
    CHECK(r.all() == std::vector{1, 2, 3});
    in.close();
    in.close();
    CHECK(r.wakes == 2);
    CHECK(r.poll() == kind::finished);
}

TEST_CASE("a push waits for room, and those of one thread keep their order") {
    for (std::size_t capacity : {1, 2, 7}) {
        CAPTURE(capacity);
        inlet<int> in({.capacity = capacity});
        reading r(in);
        std::thread host([&] {
            for (int i = 0; i < 2'000; ++i) in.push(i);
            in.close();
        });
        while (r.poll(3) != kind::finished) CHECK(in.unread() <= capacity);
        host.join();
        REQUIRE(r.got.size() == 2'000);
        for (int i = 0; i < 2'000; ++i) REQUIRE(r.got.value(static_cast<std::size_t>(i)) == i);
    }
}

TEST_CASE("of many threads each record is read once, in the order of its thread, by every way to push") {
    const std::uint64_t seed = 7;
    constexpr int threads = 4;
    constexpr int each = 3'000;
    inlet<std::pair<int, int>> in({.capacity = 16});
    reading r(in);
    std::atomic<int> accepted{0};
    std::vector<std::thread> hosts;
    for (int t = 0; t < threads; ++t)
        hosts.emplace_back([&, t] {
            tests::random_numbers random(seed + static_cast<std::uint64_t>(t));
            for (int i = 0; i < each; ++i) {
                const std::pair record(t, i);
                switch (random.below(3)) {
                    case 0: in.push(record); break;
                    case 1:
                        while (!in.try_push(record)) std::this_thread::yield();
                        break;
                    case 2:
                        detail::push_in_wait done;
                        in.push_async(record, [&](std::exception_ptr) { done.complete(detail::push_end::taken); });
                        done.wait();
                        break;
                }
                accepted.fetch_add(1);
            }
        });
    std::thread closing([&] {
        for (std::thread& h : hosts) h.join();
        in.close();
    });
    while (r.poll(5) != kind::finished) {}
    closing.join();
    CHECK(accepted == threads * each);
    std::vector<int> next(threads, 0);
    for (const auto& [t, i] : r.values()) REQUIRE(i == next[static_cast<std::size_t>(t)]++);
    for (int n : next) CHECK(n == each);
}

TEST_CASE("push_async tells at once if there is room, and otherwise when its turn has come, first come first served") {
    inlet<int> in({.capacity = 1});
    std::vector<outcome> ends(4);
    for (int i = 0; i < 4; ++i) in.push_async(i, ends[static_cast<std::size_t>(i)].note());
    CHECK(ends[0].calls == 1);
    CHECK(ends[1].calls == 0);
    reading r(in);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(r.poll() == kind::more);
        CHECK(ends[i].calls == 1);
        if (i < 3) CHECK(ends[i + 1].calls == 0);
    }
    CHECK(r.all() == std::vector{0, 1, 2, 3});
    for (const outcome& o : ends) CHECK(o.refused.empty());
}

TEST_CASE("the callback of an asynchronous push may push") {
    inlet<int> in({.capacity = 1});
    reading r(in);
    std::function<void(int)> chain = [&](int i) {
        if (i != 50) in.push_async(i, [&, i](std::exception_ptr) { chain(i + 1); });
    };
    chain(0);
    r.all();
    CHECK(r.got.size() == 50);
}

TEST_CASE("close ends the input after what was taken; later pushes and those that wait are refused") {
    inlet<int> in({.capacity = 2});
    in.push(1);
    in.push(2);
    outcome waiting;
    in.push_async(3, waiting.note());
    CHECK(in.is_open());
    in.close();
    CHECK_FALSE(in.is_open());
    CHECK(waiting.refused == "inlet: it has been closed. Push before close()");
    CHECK_THROWS_AS(in.push(4), inlet_closed);
    CHECK_THROWS_AS((void)in.try_push(4), inlet_closed);
    outcome late;
    in.push_async(5, late.note());
    CHECK(late.calls == 1);
    CHECK(late.refused == waiting.refused);
    reading r(in);
    CHECK(r.all() == std::vector{1, 2});
    CHECK(r.poll() == kind::finished);
}

TEST_CASE("when the reader is gone every push fails, those that wait included, and what was not read is counted") {
    inlet<int> in({.capacity = 4});
    std::string refused;
    std::optional<reading<int>> r(in);
    for (int i = 0; i < 4; ++i) in.push(i);
    CHECK(r->poll(3) == kind::more);
    std::thread host([&] {
        try {
            for (;;) in.push(9);
        } catch (const inlet_closed& e) {
            refused = e.what();
        }
    });
    outcome waiting;
    in.push_async(4, waiting.note());
    r.reset();
    host.join();
    CHECK(waiting.calls == 1);
    CHECK(refused.find("the job that read it has ended") != std::string::npos);
    CHECK(waiting.refused == refused);
    CHECK_THROWS_WITH_AS(in.push(5), refused.c_str(), inlet_closed);
    CHECK_THROWS_AS((void)in.try_push(5), inlet_closed);
    CHECK(in.unread() == 1);
    CHECK_FALSE(in.is_open());
}

TEST_CASE("an inlet is read once, by one reader") {
    inlet<int> in;
    {
        reading r(in);
        CHECK_THROWS_AS(in.open("0", nullptr, r.context), error);
        in.push(1);  // The attempt does the first one no harm.
        CHECK(r.all() == std::vector{1});
    }
    reader_context context;
    CHECK_THROWS_AS(in.open("0", nullptr, context), error);
}

TEST_CASE("an inlet cannot be restored, says so, and nobody waits for the job") {
    inlet<int> in;
    std::string position;
    {
        inlet<int> before;
        reading r(before);
        position = r.reader->position();
        CHECK(position.empty());
    }
    reader_context context;
    try {
        in.open("0", &position, context);
        FAIL("nothing was thrown");
    } catch (const error& e) {
        CHECK(std::string(e.what()).find("cannot go on from a checkpoint. Start it without one") != std::string::npos);
    }
    CHECK_THROWS_AS(in.push(1), inlet_closed);
}

TEST_CASE("times that are pushed come along; a record without one is bad where times are asked for") {
    for (bool takes_times : {false, true}) {
        CAPTURE(takes_times);
        inlet<int> in;
        reading r(in, takes_times);
        in.push(1, timestamp(10));
        in.push(2);
        in.push(3, timestamp(-5));
        if (takes_times) {
            CHECK(r.all() == std::vector{1, 3});
            REQUIRE(r.bad.size() == 1);
            CHECK(r.bad[0] == "inlet: pushed without an event time. Use push(value, time)");
            CHECK(r.got.time(1) == timestamp(-5));
        } else {
            CHECK(r.all() == std::vector{1, 2, 3});
            CHECK(r.bad.empty());
            CHECK(r.got.time(1) == timestamp(0));
        }
        CHECK(r.got.time(0) == timestamp(10));
        r.poll();
        CHECK(in.unread() == 0);
    }
}

TEST_CASE("records that can only be moved go through an inlet") {
    inlet<std::unique_ptr<int>> in({.capacity = 1});
    in.push(std::make_unique<int>(1));
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(in.try_push(std::move(second)));
    REQUIRE(second);
    outcome o;
    in.push_async(std::move(second), o.note());
    reader_context context{.wake = [] {}, .bad_record = {}};
    auto reader = in.open("0", nullptr, context);
    batch<std::unique_ptr<int>> got;
    while (reader->poll(got, 1).what == kind::more) {}
    REQUIRE(got.size() == 2);
    CHECK(*got.value(1) == 2);
    CHECK(o.calls == 1);
}

TEST_CASE("a capacity of 0 is a problem of the graph") {
    CHECK(inlet<int>().problems().empty());
    CHECK(inlet<int>({.capacity = 0}).problems() ==
          std::vector<std::string>{"inlet: the capacity is 0; at least 1 is needed"});
}
