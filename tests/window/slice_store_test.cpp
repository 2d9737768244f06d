#include "runnel/window/slice_store.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

using namespace runnel;

TEST_CASE("slices are kept in order of time and found by any of their ticks, through insertions and drops") {
    for (std::uint64_t seed = 1; seed != 50; ++seed) {
        CAPTURE(seed);
        const duration slide(1 + static_cast<std::int64_t>(seed % 13));
        const detail::slicing grid{duration(10), slide, duration(0), duration(0)};
        std::mt19937_64 random(seed);
        detail::slice_store<int, int> store(grid.slices_per_tick());
        std::map<timestamp, detail::slice<int, int>*> model;
        std::int64_t base = 0;
        for (int i = 0; i != 500; ++i) {
            const timestamp t(base + static_cast<std::int64_t>(random() % 100));
            const auto span = grid.span_of(t);
            auto* found = store.find(t);
            if (auto known = model.find(span.first); known != model.end()) {
                REQUIRE(found == known->second);
            } else {
                REQUIRE(found == nullptr);
                auto& made = store.insert(span);
                REQUIRE(made.keys.empty());
                made.keys.get_or_create(1, made.keys.hash(1)) = 5;
                model[span.first] = &made;
            }
            if (random() % 3 == 0 && !model.empty()) {
                REQUIRE(&store.front() == model.begin()->second);
                store.drop_front();
                base = std::max(base, model.begin()->first.ns() + 10);
                model.erase(model.begin());
            }
            REQUIRE(store.empty() == model.empty());
            REQUIRE(store.end_index() - store.begin_index() == model.size());
            std::size_t index = store.begin_index();
            for (auto& [first, slice] : model) {
                REQUIRE(&store[index] == slice);
                REQUIRE(store.index_from(first.ns()) == index);
                REQUIRE(store.index_from(first.ns() + 1) == index + 1);
                ++index;
            }
        }
    }
}
