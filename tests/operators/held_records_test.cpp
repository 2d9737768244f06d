#include "runnel/operators/held_records.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

TEST_CASE("held records come in order of time, those of equal time as they came, none before its time") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        detail::held_records<int> held;
        std::vector<timed<int>> waiting;
        std::int64_t now = 0;
        const auto disorder = static_cast<std::int64_t>(random.below(60));
        for (int i = 0; i < 1000; ++i) {
            now += static_cast<std::int64_t>(random.below(3));
            const timestamp t(now - random.between(0, disorder));
            held.push(i, t);
            waiting.push_back({i, t});
            if (!random.chance(5)) continue;
            const timestamp until(now - static_cast<std::int64_t>(random.below(40)));
            std::stable_sort(waiting.begin(), waiting.end(), [](auto& a, auto& b) { return a.time < b.time; });
            while (const timestamp* t0 = held.next(until)) {
                REQUIRE(!waiting.empty());
                REQUIRE(*t0 == waiting.front().time);
                REQUIRE(held.take() == waiting.front());
                waiting.erase(waiting.begin());
            }
            REQUIRE((waiting.empty() || waiting.front().time > until));
            if (!random.chance(20)) continue;
            // As through a snapshot.
            detail::held_records<int> again;
            held.freeze().consume([&](int value, timestamp at) { again.push(value, at); });
            std::swap(held, again);
        }
    }
}

namespace {

/// As held: text and time, in no order of time.
template <class T>
std::vector<timed<T>> contents(detail::frozen_records<T>& frozen) {
    std::vector<timed<T>> all;
    frozen.consume([&](const T& value, timestamp t) { all.push_back({value, t}); });
    return all;
}

/// Holds and takes texts at random; what is held is known besides.
class holder {
public:
    explicit holder(std::uint64_t seed)
        : random_(seed), disorder_(random_.between(0, 1000)), lag_(disorder_ + random_.between(0, 1000)) {}

    void go_on(std::size_t n) {
        for (; n != 0; --n) {
            now_ += random_.between(0, 2);
            const timestamp t(now_ - random_.between(0, disorder_));
            const std::string text = "a text that is too long for the inside of a string " + std::to_string(number_++);
            held->push(text, t);
            model.emplace(t, text);
            if (random_.chance(1)) take(timestamp(random_.chance(2) ? now_ : now_ - lag_));
        }
    }
    void take(timestamp until) {
        while (held->next(until)) {
            const timed<std::string>& taken = held->take();
            if (model.empty() || taken.time != model.begin()->first || taken.value != model.begin()->second)
                FAIL("not the record that is due: " << taken.value);
            model.erase(model.begin());
        }
        REQUIRE((model.empty() || model.begin()->first > until));
    }

    std::unique_ptr<detail::held_records<std::string>> held = std::make_unique<detail::held_records<std::string>>();
    std::multimap<timestamp, std::string> model;

private:
    tests::random_numbers random_;
    std::int64_t disorder_;
    std::int64_t lag_;
    std::int64_t now_ = 0;
    int number_ = 0;
};

/// `records` can be held again, and are those of `model`.
void check(const std::vector<timed<std::string>>& records, const std::multimap<timestamp, std::string>& model) {
    detail::held_records<std::string> again;
    for (const timed<std::string>& r : records) again.push(r.value, r.time);
    std::vector<timed<std::string>> in_order, expected;
    while (again.next(timestamp::max())) in_order.push_back(again.take());
    for (const auto& [t, text] : model) expected.push_back({text, t});
    CHECK((in_order == expected));
}

}  // namespace

TEST_CASE("what is frozen of held records is what was held, whatever has been pushed, taken or gone since") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        holder h(seed);
        for (int round = 0; round < 6; ++round) {
            h.go_on(random.below(1500));
            auto frozen = h.held->freeze();
            const auto then = h.model;
            h.go_on(random.below(1500));
            auto later = h.held->freeze();
            const auto then_later = h.model;
            h.go_on(random.below(300));
            if (random.chance(10)) continue;  // Given up.
            if (random.chance(20)) h.held = std::make_unique<detail::held_records<std::string>>(), h.model.clear();
            check(contents(frozen), then);
            check(contents(later), then_later);
            CHECK(contents(later).empty());
        }
        h.take(timestamp::max());
        CHECK(h.model.empty());
    }
}

TEST_CASE("what is frozen of held records can be read by another thread while more come and go") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        CAPTURE(seed);
        holder h(seed);
        h.go_on(2000);
        auto frozen = h.held->freeze();
        const auto then = h.model;
        std::vector<timed<std::string>> seen;
        std::thread other([&seen, mine = std::move(frozen)]() mutable { seen = contents(mine); });
        h.go_on(2000);
        if (seed % 3 == 0) h.take(timestamp::max());
        if (seed % 4 == 0) h.held.reset();
        other.join();
        check(seen, then);
    }
}

TEST_CASE("a record that is taken is no longer kept when the next one is asked for in vain") {
    detail::held_records<std::shared_ptr<int>> held;
    const auto value = std::make_shared<int>(1);
    for (int i = 0; i < 100; ++i) held.push(value, timestamp(i));
    CHECK(value.use_count() == 101);
    auto frozen = held.freeze();
    for (int i = 0; i < 100; ++i) {
        REQUIRE(held.next(timestamp::max()) != nullptr);
        CHECK(held.take().time == timestamp(i));
    }
    CHECK(held.next(timestamp::max()) == nullptr);
    CHECK(value.use_count() == 101);
    CHECK(contents(frozen).size() == 100);
    CHECK(value.use_count() == 1);
}

TEST_CASE("records that can only be moved can be held") {
    detail::held_records<std::unique_ptr<int>> held;
    held.push(std::make_unique<int>(2), timestamp(2));
    held.push(std::make_unique<int>(1), timestamp(1));
    REQUIRE(held.next(timestamp(2)) != nullptr);
    CHECK(*held.take().value == 1);
    REQUIRE(held.next(timestamp(2)) != nullptr);
    CHECK(*held.take().value == 2);
    CHECK(held.next(timestamp(2)) == nullptr);
}
