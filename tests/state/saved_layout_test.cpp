// State whose types have changed between two runs of a program.
#include "runnel/state/saved_layout.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/state/keyed_state.hpp"
#include "runnel/state/saved_keyed_state.hpp"
#include "runnel/state/state_setup.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct visit_1 {
    std::string page;
    std::int32_t seconds = 0;
};
struct visit_2 {
    std::int64_t seconds = 0;
    std::string from = "nowhere";
    std::string page;
    bool operator==(const visit_2&) const = default;
};
struct visit_3 {
    std::string text;
    bool operator==(const visit_3&) const = default;
};
/// Lacks a migration.
struct visit_4 {
    std::string page;
    std::int16_t seconds = 0;
};
BOOST_DESCRIBE_STRUCT(visit_1, (), (page, seconds))
BOOST_DESCRIBE_STRUCT(visit_2, (), (seconds, from, page))
BOOST_DESCRIBE_STRUCT(visit_3, (), (text))
BOOST_DESCRIBE_STRUCT(visit_4, (), (page, seconds))

struct longer_key {
    int a = 0, b = 0;
    auto operator<=>(const longer_key&) const = default;
};
struct shorter_key {
    int a = 0;
    auto operator<=>(const shorter_key&) const = default;
};
/// What two different ones become is the same.
struct rounded {
    int tens = 0;
    auto operator<=>(const rounded&) const = default;
};
BOOST_DESCRIBE_STRUCT(longer_key, (), (a, b))
BOOST_DESCRIBE_STRUCT(shorter_key, (), (a))
BOOST_DESCRIBE_STRUCT(rounded, (), (tens))

visit_1 as_1(int i) { return {"/" + std::to_string(i), i * 1000}; }
visit_2 as_2(int i) { return {i * 1000, "nowhere", "/" + std::to_string(i)}; }
visit_3 as_3(int i) { return {"/" + std::to_string(i) + " " + std::to_string(i * 1000)}; }

}  // namespace

template <>
struct runnel::migration<visit_3> {
    using from = visit_2;
    static visit_3 migrate(visit_2&& old) { return {old.page + " " + std::to_string(old.seconds)}; }
};

template <>
struct runnel::migration<rounded> {
    using from = longer_key;
    static rounded migrate(longer_key&& old) { return {old.a / 10}; }
};

namespace {

const detail::stopped_clock clock_at_50s(timestamp(50s));
constexpr std::size_t groups = 8;

/// Keeps how many there were, and the last one.
template <class V>
struct counted {
    using accumulator = std::pair<std::uint64_t, V>;
    accumulator create() const { return {}; }
    void add(accumulator& a, const V& v) const { a = {a.first + 1, v}; }
    void merge(accumulator& a, const accumulator& b) const { a = {a.first + b.first, b.second}; }
    accumulator result(const accumulator& a) const { return a; }
};

/// A state of each kind, of one version's types.
template <class V, class Small>
struct states {
    detail::keyed_state<std::string> all;
    value_state<V> value, brief;
    list_state<V> list, brief_list;
    map_state<Small, V> map, brief_map;
    broadcast_state<Small, V> shared;
    aggregating_state<V, std::pair<std::uint64_t, V>> total;
    reducing_state<V> reduced;

    explicit states(key_group_range mine) {
        state_setup s(all);
        value = s.value<V>("value");
        brief = s.value<V>("brief", {.ttl = 1000s});
        list = s.list<V>("list");
        brief_list = s.list<V>("brief list", {.ttl = 1000s});
        map = s.map<Small, V>("map");
        brief_map = s.map<Small, V>("brief map", {.ttl = 1000s});
        reduced = s.reducing<V>("reduced", [](const V&, const V& b) { return b; });
        total = s.aggregating<V>("total", counted<V>());
        shared = s.broadcast<Small, V>("shared");
        all.open(groups, mine, &clock_at_50s);
    }
    template <class F>
    void with(int i, F f) {
        const std::string key = "key " + std::to_string(i);
        all.enter_key(key, all.hash(key), timestamp(std::chrono::seconds(i)));
        f();
        all.leave();
    }
};

using states_1 = states<visit_1, std::int16_t>;

/// As two subtasks of the first version save it.
operator_snapshot saved_by_1() {
    operator_snapshot saved;
    for (std::size_t subtask = 0; subtask < 2; ++subtask) {
        const key_group_range mine = range_of(subtask, 2, groups);
        states_1 s(mine);
        for (int i = 0; i < 20; ++i) {
            if (!mine.contains(key_group_of("key " + std::to_string(i), groups))) continue;
            s.with(i, [&] {
                s.value.set(as_1(i));
                s.brief.set(as_1(i));
                for (int n = 0; n < i; ++n) {
                    s.list.add(as_1(n));
                    s.brief_list.add(as_1(n));
                    s.map.put(static_cast<std::int16_t>(-n), as_1(n));
                    s.brief_map.put(static_cast<std::int16_t>(-n), as_1(n));
                    s.reduced.add(as_1(n));
                    s.total.add(as_1(n));
                }
            });
        }
        operator_snapshot part;
        snapshot_writer writer(part);
        s.all.save(writer, timestamp(15s));
        // What the other side of a broadcast would write.
        part.local["broadcast shared"].clear();
        codec<std::map<std::int16_t, visit_1>>::encode({{7, as_1(7)}}, part.local["broadcast shared"].emplace_back());
        saved.add(std::move(part));
    }
    return saved;
}

template <class V, class Small, class Expected>
void check_loaded(const operator_snapshot& saved, Expected expected) {
    for (std::size_t subtask = 0; subtask < 3; ++subtask) {
        const key_group_range mine = range_of(subtask, 3, groups);
        states<V, Small> s(mine);
        s.all.load(snapshot_reader(saved, mine), subtask);
        REQUIRE(s.shared.get(7));
        CHECK(*s.shared.get(7) == expected(7));
        for (int i = 0; i < 20; ++i) {
            CAPTURE(i);
            if (!mine.contains(key_group_of("key " + std::to_string(i), groups))) continue;
            s.with(i, [&] {
                REQUIRE(s.value.get());
                CHECK(*s.value.get() == expected(i));
                CHECK(*s.brief.get() == expected(i));
                const auto n = static_cast<std::size_t>(i);
                REQUIRE(s.list.size() == n);
                REQUIRE(s.brief_list.size() == n);
                REQUIRE(s.map.size() == n);
                REQUIRE(s.brief_map.size() == n);
                for (int e = 0; e < i; ++e) {
                    CHECK(s.list.elements()[static_cast<std::size_t>(e)] == expected(e));
                    CHECK(s.brief_list.elements()[static_cast<std::size_t>(e)] == expected(e));
                    CHECK(*s.map.get(static_cast<Small>(-e)) == expected(e));
                    CHECK(*s.brief_map.get(static_cast<Small>(-e)) == expected(e));
                }
                CHECK(s.total.get().has_value() == (i > 0));
                if (i == 0) return;
                CHECK(*s.reduced.get() == expected(i - 1));
                CHECK(s.total.get()->first == n);
                CHECK(s.total.get()->second == expected(i - 1));
            });
        }
    }
}

template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (const checkpoint_error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("state of every kind is loaded into types that have changed") {
    check_loaded<visit_2, std::int64_t>(saved_by_1(), as_2);
}

TEST_CASE("state of every kind is migrated, the keys of maps staying as they were") {
    check_loaded<visit_3, std::int16_t>(saved_by_1(), as_3);
}

TEST_CASE("state that was saved without layouts is loaded as it is") {
    operator_snapshot saved = saved_by_1();
    CHECK(saved.local.erase("layouts") == 1);
    states_1 s({0, groups});
    s.all.load(snapshot_reader(saved, {0, groups}), 0);
    s.with(3, [&] { CHECK(s.value.get()->page == "/3"); });
}

TEST_CASE("what can't be loaded is refused before anything is, naming the state and both layouts") {
    const operator_snapshot saved = saved_by_1();
    const snapshot_reader reader(saved, {0, groups});
    detail::keyed_state<std::string> all;
    state_setup s(all);
    s.value<visit_2>("value");
    s.value<visit_4>("reduced");
    all.open(groups, {0, groups}, &clock_at_50s);
    CHECK(refusal([&] { all.load(reader, 0); }) ==
          "'state reduced' was saved as {page:string,seconds:i32} and can't be loaded as {page:string,seconds:i16}: "
          "member 'seconds' was saved as i32 and is i16 now. Specialise runnel::migration for the type of now, with "
          "from = a type as it was saved; or give it another name to start it empty");
    CHECK(all.live_keys() == 0);

    detail::keyed_state<std::string> fewer;
    state_setup(fewer).map<shorter_key, visit_1>("by key");
    fewer.open(groups, {0, groups}, &clock_at_50s);
    operator_snapshot longer;
    {
        detail::keyed_state<std::string> k;
        state_setup(k).map<longer_key, visit_1>("by key");
        k.open(groups, {0, groups}, &clock_at_50s);
        snapshot_writer writer(longer);
        k.save(writer, timestamp(0s));
    }
    CHECK(refusal([&] { fewer.load(snapshot_reader(longer, {0, groups}), 0); })
              .find("member 'b' is gone, and without it keys of a map or set that were different would be equal") !=
          std::string::npos);

    detail::keyed_state<std::string> other;
    state_setup(other).map<std::uint16_t, visit_1>("map");
    other.open(groups, {0, groups}, &clock_at_50s);
    CHECK(refusal([&] { other.load(reader, 0); })
              .starts_with("'map keys of state map' was saved as i16 and can't be loaded as u16: "));
}

TEST_CASE("a key of another type is refused, since its key group would be another") {
    const operator_snapshot saved = saved_by_1();
    detail::keyed_state<std::pair<std::string, int>> all;
    all.open(groups, {0, groups}, &clock_at_50s);
    CHECK(refusal([&] { all.load(snapshot_reader(saved, {0, groups}), 0); }) ==
          "the keys were saved as string and can't be loaded as tuple<string,i32>: a key of another type belongs to "
          "another key group. Keep the type of the key, or give the operator another name to start it empty");
}

TEST_CASE("a migration that makes keys of a map equal is an error, not a loss") {
    operator_snapshot saved;
    detail::keyed_state<std::string> before;
    auto map = state_setup(before).map<longer_key, int>("map");
    before.open(groups, {0, groups}, &clock_at_50s);
    const std::string key = "key";
    before.enter_key(key, before.hash(key), timestamp(0s));
    map.put({41, 0}, 1);
    map.put({42, 0}, 2);
    before.leave();
    snapshot_writer writer(saved);
    before.save(writer, timestamp(0s));
    detail::keyed_state<std::string> now;
    state_setup(now).map<rounded, int>("map");
    now.open(groups, {0, groups}, &clock_at_50s);
    CHECK_THROWS_WITH_AS(now.load(snapshot_reader(saved, {0, groups}), 0),
                         "encoded container holds a key twice: the bytes are damaged, or a migration has made keys equal",
                         decode_error);
}

TEST_CASE("layouts that are damaged, or differ within a checkpoint, are refused") {
    operator_snapshot saved = saved_by_1();
    const auto load = [&] {
        states_1 s({0, groups});
        s.all.load(snapshot_reader(saved, {0, groups}), 0);
    };
    const std::vector<std::string> good = saved.local["layouts"];
    for (std::string& entry : saved.local["layouts"])
        if (entry.find("reduced") != std::string::npos) entry.back() = '?';
    CHECK(refusal(load).find("text of a layout is damaged") != std::string::npos);
    saved.local["layouts"] = good;
    saved.local["layouts"].back().back() = '?';
    CHECK(refusal(load).ends_with("in one checkpoint: it is damaged. Go on from another one"));
    saved.local["layouts"] = good;
    saved.local["layouts"].back().pop_back();
    CHECK_THROWS_AS(load(), decode_error);
}

TEST_CASE("state is looked at from outside by types that have changed, and refused by its operator's name") {
    const checkpoint c{1, "job", groups, timestamp(15s), false, {{"visits", "process", 2, saved_by_1()}}, {}};
    saved_keyed_state<std::string> visits(c, "visits");
    const auto value = visits.value<visit_2>("value");
    REQUIRE(visits.select("key 4"));
    CHECK(*value.get() == as_2(4));
    saved_keyed_state<std::string> wrong(c, "visits");
    wrong.value<visit_4>("value");
    CHECK(refusal([&] { wrong.select("key 4"); }).starts_with(
        "the keyed state of operator 'visits' is not of the types of key and state that were given: 'state value' "));
}
