#include "runnel/state/frozen_slots.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/state/keyed_state.hpp"
#include "runnel/state/state_setup.hpp"
#include "tests/support/map_backend.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

/// A text that can't be encoded if it is "bad".
struct text {
    std::string value;
};

}  // namespace

template <>
struct runnel::codec<text> {
    static void encode(const text& t, std::string& out) {
        if (t.value == "bad") throw std::runtime_error("a bad text");
        codec<std::string>::encode(t.value, out);
    }
    static text decode(byte_reader& in) { return {codec<std::string>::decode(in)}; }
};

namespace {

constexpr std::size_t groups = 16;

/// All kinds of state, as a process function has them, and what it may do with them, at random.
class function {
public:
    /// `in_memory`: how many keys are; 0: all.
    explicit function(std::uint64_t seed, std::size_t in_memory = 0, bool expires = true)
        : random_(seed), backend_(in_memory), expires_(expires) {
        state_setup s(*state);
        value_ = s.value<text>("value", {.ttl = draw_ttl(), .refresh = ttl_refresh::on_read_and_write});
        list_ = s.list<int>("list", {.ttl = draw_ttl(), .refresh = ttl_refresh::on_read_and_write});
        map_ = s.map<int, int>("map", {.ttl = draw_ttl(), .refresh = ttl_refresh::on_read_and_write});
        reduced_ = s.reducing<int>("reduced", [](int a, int b) { return a + b; });
        timer_ = s.event_timer("timer");
        alarm_ = s.processing_timer("alarm");
        state->open(groups, {0, groups}, nullptr);
        if (in_memory != 0) state->keep_in(backend_, "function", 0);
    }

    /// A record of a key, or a watermark. Texts are long, so that all of them take many steps.
    void go_on(int keys) {
        if (random_.chance(10)) return advance();
        const int key = static_cast<int>(random_.below(static_cast<std::uint64_t>(keys)));
        state->enter_key(key, state->hash(key), now_);
        for (std::size_t n = random_.below(4); n != 0; --n) act();
        state->leave();
    }
    void put(int key, std::string value) {
        state->enter_key(key, state->hash(key), now_);
        value_.set({std::move(value)});
        state->leave();
    }

    std::unique_ptr<detail::keyed_state<int>> state = std::make_unique<detail::keyed_state<int>>();

private:
    std::optional<duration> draw_ttl() {
        if (!expires_ || random_.chance(40)) return std::nullopt;
        return std::chrono::seconds(random_.between(1, 200));
    }
    void act() {
        const int n = static_cast<int>(random_.between(0, 5));
        const timestamp t = now_ + std::chrono::seconds(n * 20);
        switch (random_.below(16)) {
            case 0: value_.clear(); break;
            case 1: (void)value_.get(); break;
            case 2: value_.get_or_create().value += 'x'; break;
            case 3: list_.add(n); break;
            case 4: list_.set({n, n + 1}); break;
            case 5: list_.clear(); break;
            case 6: (void)list_.size(); break;
            case 7: map_.put(n, n); break;
            case 8: map_.erase(n); break;
            case 9: (void)map_.get(n); break;
            case 10: reduced_.add(n); break;
            case 11: timer_.set(t); break;
            case 12: timer_.cancel(t); break;
            case 13: alarm_.set(t); break;
            case 14: alarm_.cancel(t); break;
            default: value_.set({std::string(random_.below(20'000), 'y')});
        }
    }
    void advance() {
        now_ = now_ + std::chrono::seconds(random_.between(0, 40));
        for (detail::timer_queue* timers : {&state->event_timers(), &state->processing_timers()})
            for (const detail::timer_queue::entry* e; (e = timers->next()) && e->time <= now_;) {
                state->enter_slot(e->of, now_);
                timers->take();
                // Not at random: timers of one time come in any order.
                reduced_.add(1);
                if (state->key() % 2 == 0) list_.clear();
                if (state->key() % 3 == 0) timer_.set(now_ + 100s);
                state->leave();
            }
        state->sweep(ttl_clock::event, now_);
    }

    tests::random_numbers random_;
    tests::map_backend backend_;
    bool expires_;
    value_state<text> value_;
    list_state<int> list_;
    map_state<int, int> map_;
    reducing_state<int> reduced_;
    event_timer timer_;
    processing_timer alarm_;
    timestamp now_;
};

operator_snapshot at_once(const detail::keyed_state<int>& state) {
    operator_snapshot s;
    snapshot_writer to(s);
    state.save(to, timestamp::min());
    s.gather();
    return s;
}

/// A snapshot that is taken little by little.
struct gradual {
    explicit gradual(const detail::keyed_state<int>& state) {
        snapshot_writer to(taken, &deferred);
        state.save(to, timestamp::min());
    }
    bool step() {
        for (auto& s : deferred.steps)
            if (!s()) return false;
        return true;
    }
    operator_snapshot finish() {
        while (!step()) continue;
        snapshot_writer to(taken);
        for (auto& write : std::exchange(deferred, {}).writes) write(to);
        taken.gather();
        return std::move(taken);
    }
    operator_snapshot taken;
    deferred_saves deferred;
};

}  // namespace

TEST_CASE("what is copied of keyed state is what keys held, whatever has been changed, fired, expired or gone since") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        function f(seed, seed % 3 == 0 ? 1 + random.below(100) : 0);
        const int keys = 1 + static_cast<int>(random.below(random.chance(50) ? 20 : 600));
        for (int round = 0; round < 8; ++round) {
            for (std::size_t n = random.below(1500); n != 0; --n) f.go_on(keys);
            const operator_snapshot then = at_once(*f.state);
            REQUIRE(at_once(*f.state) == then);
            gradual copy(*f.state);
            for (std::size_t n = random.below(500); n != 0; --n) {
                if (random.chance(3)) copy.step();
                f.go_on(keys);
            }
            if (random.chance(10)) continue;  // Given up.
            if (random.chance(20)) {          // The next one comes before this one is complete.
                const operator_snapshot later = at_once(*f.state);
                gradual next(*f.state);
                f.go_on(keys);
                REQUIRE(copy.finish() == then);
                REQUIRE(next.finish() == later);
                continue;
            }
            const bool ends = random.chance(10);
            if (ends) f.state.reset();
            REQUIRE(copy.finish() == then);
            if (ends) break;
        }
    }
}

TEST_CASE("a key group whose keys have not changed is saved with the same bytes, in whichever order they were copied") {
    function f(1);
    for (int key = 0; key < 1000; ++key) f.put(key, std::to_string(key));
    const operator_snapshot before = at_once(*f.state);
    gradual copy(*f.state);
    for (int key = 999; key >= 0; key -= 7) f.put(key, std::to_string(key));
    CHECK(copy.finish() == before);
    f.put(77, "another");
    const operator_snapshot after = at_once(*f.state);
    std::size_t changed = 0;
    for (const auto& [group, bytes] : after.keyed.at("state value"))
        changed += before.keyed.at("state value").at(group) != bytes;
    CHECK(changed == 1);
    CHECK(after.keys.at("state value") == 1000);
}

TEST_CASE("state that cannot be encoded is no matter for who changes it, only for the snapshot") {
    function f(1);
    for (int key = 0; key < 100; ++key) f.put(key, key == 50 ? "bad" : "good");
    gradual copy(*f.state);
    f.put(50, "good");
    CHECK_THROWS_WITH(copy.finish(), "a bad text");
    CHECK(gradual(*f.state).finish().keys.at("state value") == 100);
}

TEST_CASE("a snapshot is the same however many keys are in memory, and each key is in it once") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        CAPTURE(seed);
        function few(seed, 1 + seed * 7 % 50, false), all(seed, 10'000, false);
        for (int round = 0; round < 5; ++round) {
            for (std::size_t n = 0; n < 1000; ++n) few.go_on(200), all.go_on(200);
            gradual copy(*few.state), other(*all.state);
            for (std::size_t n = 0; n < 200; ++n) few.go_on(200), all.go_on(200);
            REQUIRE(copy.finish() == other.finish());
        }
    }
}
