#include "runnel/state/control_group.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "tests/support/random.hpp"

using namespace runnel;
using detail::control_group;

namespace {

std::uint64_t slot_by_slot(const control_group& g, std::uint8_t tag) {
    std::uint64_t same = 0;
    for (std::size_t i = 0; i != detail::group_slots; ++i) same |= std::uint64_t{g.tags[i] == tag} << i;
    return same;
}

template <class Match>
void check(const control_group& g, std::uint8_t tag) {
    const std::uint32_t word = tag * 0x01010101u;
    REQUIRE(Match::equal(g, word) == slot_by_slot(g, tag));
    REQUIRE(Match::empty(g) == slot_by_slot(g, 0));
}

}  // namespace

TEST_CASE("both ways of comparing tags find exactly the equal ones") {
    const std::uint64_t seed = 7;
    CAPTURE(seed);
    tests::random_numbers random(seed);
    for (int round = 0; round != 5000; ++round) {
        control_group g{};
        // Neighbouring values are where a carry between bytes would show.
        const std::vector<std::uint8_t> values{0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff};
        for (std::uint8_t& tag : g.tags) tag = values[random.below(values.size())];
        for (std::uint8_t tag : values) {
            check<detail::swar_match>(g, tag);
            check<detail::default_match>(g, tag);
        }
    }
}

TEST_CASE("a tag is never that of an empty slot") {
    for (std::uint64_t high = 0; high != 256; ++high) {
        const std::uint32_t word = detail::tag_word(high << 56 | 0x123456);
        CHECK((word & 0xff) != 0);
        CHECK((word & 0xff) * 0x01010101u == word);
    }
}
