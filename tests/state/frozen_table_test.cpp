#include "runnel/state/frozen_table.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>

#include "runnel/state/batch_update.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

template <class V>
std::map<int, V> contents(const table<int, V>& t) {
    std::map<int, V> all;
    t.for_each([&](int key, const V& value) { all.emplace(key, value); });
    return all;
}
template <class V>
std::map<int, V> contents(frozen_table<int, V>& t) {
    std::map<int, V> all;
    t.consume([&](int key, const V& value) { CHECK(all.emplace(key, value).second); });
    return all;
}

/// Changes a table at random, while it is frozen now and then, and copied in steps of all sizes.
template <class V, class Make>
void run(std::uint64_t seed, Make make) {
    CAPTURE(seed);
    tests::random_numbers random(seed);
    auto t = std::make_unique<table<int, V>>();
    std::map<int, V> model;
    const std::size_t keys = 1 + random.below(6000);
    for (int round = 0; round < 12; ++round) {
        t->unwatch();
        REQUIRE(contents(*t) == model);
        auto frozen = std::make_unique<frozen_table<int, V>>(*t);
        const std::map<int, V> then = model;
        bool done = false;
        for (std::size_t n = random.below(200); n != 0; --n) {
            const int key = static_cast<int>(random.below(keys));
            const std::uint64_t h = t->hash(key);
            switch (random.below(40)) {
                case 0: done = frozen->step(random.below(20'000)); break;
                case 1:
                    if (random.chance(5)) t->clear(), model.clear();
                    break;
                case 2:
                    t->erase(key, h);
                    model.erase(key);
                    break;
                case 3: {
                    std::vector<int> batch(random.below(600));
                    for (int& k : batch) k = static_cast<int>(random.below(keys));
                    update_batch(
                        *t, 0, batch.size(), [&](std::size_t i) { return batch[i]; },
                        [&](V& v, std::size_t i, bool) { v = make(batch[i] + round); });
                    for (int k : batch) model[k] = make(k + round);
                    break;
                }
                default:
                    t->get_or_create(key, h) = make(static_cast<int>(n));
                    model[key] = make(static_cast<int>(n));
            }
        }
        if (random.chance(10)) continue;  // Given up.
        if (random.chance(10)) {
            t = std::make_unique<table<int, V>>();
            model.clear();
        }
        while (!done) done = frozen->step(random.below(100'000));
        REQUIRE(contents(*frozen) == then);
    }
}

}  // namespace

TEST_CASE("a frozen table shows what the table held, however that has changed, grown, been cleared or gone since") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        run<int>(seed, [](int i) { return i; });
        run<std::string>(seed, [](int i) { return "a text that is too long for the inside of a string " + std::to_string(i); });
    }
}

TEST_CASE("an empty table is frozen at once") {
    table<int, int> t;
    frozen_table<int, int> frozen(t);
    CHECK_FALSE(t.is_watched());
    CHECK(frozen.step(0));
    t.get_or_create(1, t.hash(1)) = 2;
    CHECK(contents(frozen).empty());
}
