#include "runnel/state/frozen_map.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/state/broadcast_state.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

/// A text that can't be encoded if it is "bad", and only be moved.
struct text {
    text(std::string v) : value(std::move(v)) {}
    text(text&&) = default;
    text& operator=(text&&) = default;
    std::string value;
};
struct without_codec {};

}  // namespace

template <>
struct runnel::codec<text> {
    static void encode(const text& t, std::string& out) {
        if (t.value == "bad") throw std::runtime_error("a bad text");
        codec<std::string>::encode(t.value, out);
    }
    static text decode(byte_reader& in) { return {codec<std::string>::decode(in)}; }
    static auto layout(layout_builder& to) { return to.add<std::string>(); }
};

/// A codec of the user's own for a whole map.
template <>
struct runnel::codec<std::map<std::string, char>> {
    static void encode(const std::map<std::string, char>& map, std::string& out) {
        for (const auto& [key, value] : map) out += key + value;
    }
    static std::map<std::string, char> decode(byte_reader& in) {
        std::map<std::string, char> map;
        while (!in.empty()) {
            const std::string_view two = in.take(2);
            map.emplace(two.substr(0, 1), two[1]);
        }
        return map;
    }
    static auto layout(layout_builder& to) { return to.add<std::string>(); }
};

namespace {

template <class V>
using broadcast_map = detail::broadcast_map<std::string, V>;

template <class V>
std::unique_ptr<broadcast_map<V>> make_map() {
    return std::make_unique<broadcast_map<V>>(detail::state_declaration{"m", "broadcast state", typeid(V), {}});
}

template <class V>
std::string at_once(const broadcast_map<V>& m) {
    std::string bytes;
    codec<std::map<std::string, V>>::encode(m.elements(), bytes);
    return bytes;
}

/// A snapshot that is taken little by little.
struct gradual {
    template <class V>
    explicit gradual(const broadcast_map<V>& m) {
        snapshot_writer to(taken, &deferred);
        m.save(to, "m");
    }
    bool step() {
        for (auto& s : deferred.steps)
            if (!s()) return false;
        return true;
    }
    std::string finish() {
        while (!step()) continue;
        snapshot_writer to(taken);
        for (auto& write : std::exchange(deferred, {}).writes) write(to);
        REQUIRE(taken.local.at("m").size() == 1);
        return taken.local.at("m")[0];
    }
    operator_snapshot taken;
    deferred_saves deferred;
};

/// Writes a map at random. Texts of all lengths, so that a snapshot takes from one step to many.
void write(broadcast_map<text>& m, tests::random_numbers& random, std::size_t keys) {
    const std::string key = std::to_string(random.below(keys));
    if (random.chance(60)) m.put(key, text(std::string(random.chance(10) ? random.below(60'000) : random.below(100), 'x')));
    else m.erase(key);
    if (random.below(2000) == 0) m.clear();
}

}  // namespace

TEST_CASE("what is copied of a broadcast map is what it held, whatever has been put, erased, cleared or gone since") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const std::size_t keys = 1 + random.below(300);
        auto m = make_map<text>();
        for (int round = 0; round < 8; ++round) {
            for (std::size_t n = random.below(300); n != 0; --n) write(*m, random, keys);
            const std::string then = at_once(*m);
            gradual g(*m);
            for (std::size_t n = random.below(400); n != 0; --n) {
                write(*m, random, keys);
                if (random.chance(2)) g.step();
            }
            if (random.chance(10)) continue;  // Given up.
            if (random.chance(10)) m = make_map<text>();
            CHECK((g.finish() == then));
        }
    }
}

TEST_CASE("a frozen map takes each element as it was, in steps of all sizes") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::map<int, int> m;
        const auto key = [&] { return static_cast<int>(random.below(12)); };
        for (std::size_t n = random.below(20); n != 0; --n) m[key()] = static_cast<int>(n);
        std::string then;
        codec<std::map<int, int>>::encode(m, then);
        detail::frozen_map<int, int>* registered = nullptr;
        detail::frozen_map<int, int> frozen(m, registered);
        CHECK((registered == nullptr) == m.empty());
        for (std::size_t n = random.below(30); n != 0; --n) {
            const int k = key();
            if (registered) registered->before_change(k);
            if (random.chance(50)) m[k] = -1;
            else m.erase(k);
            if (random.chance(30)) (void)frozen.step(random.below(60));
        }
        while (!frozen.step(1)) continue;
        CHECK(registered == nullptr);
        std::string bytes;
        frozen.write(bytes);
        CHECK((bytes == then));
    }
}

TEST_CASE("a broadcast map that can't be encoded goes on; the snapshot says why") {
    auto m = make_map<text>();
    for (int i = 0; i < 10; ++i) m->put(std::to_string(i), text(i == 5 ? "bad" : "good"));
    for (const bool touched : {false, true}) {
        gradual g(*m);
        if (touched) m->erase("5");
        m->put("7", text("another"));
        CHECK_THROWS_WITH(g.finish(), "a bad text");
    }
    CHECK(m->elements().size() == 9);
    CHECK(m->elements().at("7").value == "another");
    CHECK(gradual(*m).finish() == at_once(*m));
}

TEST_CASE("a broadcast map with a codec of its own is saved by that") {
    auto m = make_map<char>();
    m->put("a", 'b');
    m->put("c", 'd');
    CHECK(gradual(*m).finish() == "abcd");
}

TEST_CASE("a broadcast map without a codec can be used, but not saved") {
    auto m = make_map<without_codec>();
    m->put("a", {});
    m->erase("b");
    CHECK(m->elements().size() == 1);
    operator_snapshot s;
    snapshot_writer to(s);
    CHECK_THROWS_WITH_AS(m->save(to, "m"), doctest::Contains("broadcast state 'm' can't be saved"), error);
    m->clear();
    CHECK(m->elements().empty());
}
