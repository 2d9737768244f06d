#include "runnel/window/saved_state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runnel/operators/reduce.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/window_operator.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t groups = 16;

operator_snapshot saved_at(timestamp watermark) {
    operator_snapshot s;
    snapshot_writer to(s);
    detail::keyed_entries entries(groups);
    for (std::uint64_t key = 0; key < 5; ++key) codec<std::uint64_t>::encode(key, entries.next(key));
    entries.write(to, "entries", {0, groups});
    detail::group_watermarks().save(to, {0, groups}, watermark);
    return s;
}

/// Ten keys have a record each; then event time goes on, and an eleventh comes.
template <class Spec>
void check_unchanged(const Spec& spec) {
    testing::operator_harness h(
        make_window_operator<std::int64_t, std::int64_t>([](std::int64_t key) { return key; }, spec, count()),
        {.key_groups = groups});
    for (std::int64_t key = 0; key < 10; ++key) h.push(key, timestamp(10s));
    h.watermark(timestamp(11s));
    const operator_snapshot before = h.snapshot();
    h.watermark(timestamp(12s));
    h.push(1000, timestamp(13s));
    const operator_snapshot after = h.snapshot();
    REQUIRE(before.keyed.size() == 1);
    const auto& [name, old] = *before.keyed.begin();
    std::size_t changed = 0;
    for (const auto& [group, bytes] : after.keyed.at(name)) changed += !old.contains(group) || old.at(group) != bytes;
    CHECK(changed == 1);
    CHECK(before.keys.at(name) == 10);
    CHECK(after.keys.at(name) == 11);
}

/// Records, watermarks and snapshots at random: what is saved while the operator goes on is the state of the barrier.
template <class Op>
void check_gradual(const Op& op, std::uint64_t seed) {
    CAPTURE(seed);
    tests::random_numbers random(seed);
    testing::operator_harness h(op, {.key_groups = groups});
    // Some of them in one block of the table, and some in several.
    const std::size_t keys = seed % 2 == 0 ? 20 : 3000;
    std::int64_t now = 0;
    const auto go_on = [&](std::size_t batches) {
        for (; batches != 0; --batches) {
            std::vector<timed<std::int64_t>> records;
            for (std::size_t n = random.below(keys); n != 0; --n)
                records.push_back({random.between(0, static_cast<std::int64_t>(keys) - 1),
                                   timestamp(now + random.between(-40, 60))});
            h.push_batch(std::move(records));
            if (random.chance(60)) h.watermark(timestamp(now += random.between(1, 30)));
        }
    };
    for (int round = 0; round != 12; ++round) {
        go_on(3);
        const operator_snapshot at_once = h.snapshot();
        CHECK(h.begin_snapshot());
        go_on(random.below(4));
        if (random.chance(10)) h.watermark(timestamp(now += 1000));
        CHECK(h.finish_snapshot() == at_once);
    }
}

std::int64_t same(std::int64_t key) { return key; }

template <class Spec>
auto counting(const Spec& spec) {
    return make_window_operator<std::int64_t, std::int64_t>(&same, spec, count());
}

}  // namespace

TEST_CASE("what comes behind the barrier while state is being copied is no part of the snapshot") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        check_gradual(counting(tumbling(50ns).lateness(20ns)), seed);
        check_gradual(counting(session(15ns).lateness(20ns)), seed);
        check_gradual(counting(tumbling(50ns).lateness(20ns).early(every_records(3)).accumulating()), seed);
        check_gradual(counting(tumbling(50ns).lateness(20ns).early(every(10ns)).discarding()), seed);
        check_gradual(counting(session(15ns).lateness(20ns).early(every_records(2)).accumulating()), seed);
        check_gradual(counting(count(4)), seed);
        check_gradual(counting(count(6, 2)), seed);
        check_gradual(reduce_operator<std::int64_t, std::int64_t, decltype(&same), std::plus<>>(&same, {}), seed);
    }
}

TEST_CASE("a key group whose windows have not changed is saved with the same bytes, whatever the watermark") {
    CHECK(saved_at(timestamp(1)).keyed == saved_at(timestamp(2)).keyed);
    CHECK(saved_at(timestamp(1)).local != saved_at(timestamp(2)).local);
    check_unchanged(tumbling(1h).drop_late());
    check_unchanged(session(1h).drop_late());
    check_unchanged(tumbling(1h).drop_late().early(every_records(100)).accumulating());
}

TEST_CASE("a subtask begins with the lowest watermark of its key groups, and each of them keeps its own") {
    for (const std::size_t p : {1, 2, 3, 5})
        for (const std::size_t q : {1, 2, 4}) {
            operator_snapshot all;
            std::vector<timestamp> of_group(groups);
            for (std::size_t i = 0; i < p; ++i) {
                const key_group_range mine = range_of(i, p, groups);
                operator_snapshot one;
                snapshot_writer to(one);
                const timestamp w(100 - static_cast<std::int64_t>(i * i));
                detail::group_watermarks ahead;
                ahead.set_groups(groups);
                // A group that was further on when it came here.
                ahead.set(mine.first, timestamp(200));
                ahead.save(to, mine, w);
                for (key_group g = mine.first; g < mine.last; ++g) of_group[g] = g == mine.first ? timestamp(200) : w;
                all.add(std::move(one));
            }
            for (std::size_t i = 0; i < q; ++i) {
                const key_group_range mine = range_of(i, q, groups);
                detail::group_watermarks restored;
                restored.set_groups(groups);
                const auto lowest = restored.load(snapshot_reader(all, mine));
                CHECK(lowest == *std::min_element(of_group.begin() + mine.first, of_group.begin() + mine.last));
                for (key_group g = mine.first; g < mine.last; ++g)
                    CHECK(restored.of_group(g, *lowest) == of_group[g]);
            }
        }
}

TEST_CASE("key groups that begin with their watermark, as format version 1 has them, are read") {
    operator_snapshot s;
    for (const key_group g : {3, 4}) {
        std::string& bytes = s.keyed["entries"][g];
        codec<timestamp>::encode(timestamp(g * 10), bytes);
        codec<std::uint64_t>::encode(g == 3 ? 2 : 0, bytes);
        if (g == 3)
            for (const std::uint64_t entry : {7, 8}) codec<std::uint64_t>::encode(entry, bytes);
    }
    detail::group_watermarks restored;
    restored.set_groups(groups);
    std::vector<std::uint64_t> entries;
    const timestamp lowest = detail::keyed_entries::read(
        snapshot_reader(s, {0, groups}), "entries", restored,
        [&](byte_reader& in) { entries.push_back(codec<std::uint64_t>::decode(in)); });
    CHECK(lowest == timestamp(30));
    CHECK(entries == std::vector<std::uint64_t>{7, 8});
    CHECK(restored.of_group(4, lowest) == timestamp(40));
}
