#include "runnel/operators/reduce.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>

#include "runnel/codec/binary.hpp"
#include "runnel/operators/operator_stage.hpp"
#include "runnel/testing/recording.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using testing::recorder;

namespace {

using account = std::pair<std::string, std::int64_t>;

struct owner {
    const std::string& operator()(const account& a) const { return a.first; }
};
struct add {
    account operator()(const account& kept, const account& next) const {
        return {kept.first, (kept.second * 3 + next.second) % 1'000'003};  // Not commutative: order shows.
    }
};
using sums = reduce_operator<std::string, account, owner, add>;

struct driven {
    recorder<account> out;
    std::unique_ptr<operator_stage<sums>> stage;
    operator_context context;

    driven() { start(nullptr); }
    void start(const operator_snapshot* from) {
        stage = std::make_unique<operator_stage<sums>>(sums(owner{}, add{}));
        stage->connect(0, out, 4);
        stage->open(context);
        if (!from) return;
        snapshot_reader in(*from, context.mine);
        stage->load(in);
    }
    void push(account a, timestamp t) {
        batch<account> b;
        b.append(std::move(a), t);
        while (stage->input(0).on_any_batch(b) == progress::blocked) {
        }
    }
    void flush() {
        while (stage->input(0).flush() == progress::blocked) {
        }
    }
    operator_snapshot snapshot() {
        flush();
        operator_snapshot s;
        snapshot_writer to(s);
        stage->save(to);
        return s;
    }
};

}  // namespace

TEST_CASE("the first record of a key passes as it is, each further one gives f(kept, next), at its own time") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        driven d;
        if (random.chance(50)) d.out.refuse_at_random(random.seed(), 40);
        std::map<std::string, account> kept;
        std::vector<timed<account>> expected;
        for (int i = 0; i < 300; ++i) {
            const account a{"k" + std::to_string(random.below(1 + seed)), random.between(-9, 9)};
            const timestamp t(random.between(-99, 99));
            const auto [it, first] = kept.try_emplace(a.first, a);
            if (!first) it->second = add{}(it->second, a);
            expected.push_back({it->second, t});
            d.push(a, t);
            if (random.chance(5)) {  // Goes on from a snapshot as if nothing had happened.
                const operator_snapshot s = d.snapshot();
                d.start(&s);
            }
        }
        d.flush();
        REQUIRE(d.out.records() == expected);
    }
}

TEST_CASE("each subtask that takes over a snapshot gets the keys of its own groups, and all keys find a place") {
    driven whole;
    for (int i = 0; i < 500; ++i) whole.push({"k" + std::to_string(i), i}, timestamp(i));
    const operator_snapshot s = whole.snapshot();
    constexpr std::size_t parallelism = 3;
    std::size_t found = 0;
    for (std::size_t subtask = 0; subtask < parallelism; ++subtask) {
        driven part;
        part.context.subtask = subtask;
        part.context.parallelism = parallelism;
        part.context.mine = range_of(subtask, parallelism, 128);
        part.start(&s);
        for (int i = 0; i < 500; ++i) {
            const std::string key = "k" + std::to_string(i);
            if (!part.context.mine.contains(key_group_of(key, 128))) continue;
            part.push({key, 1}, timestamp(0));
            part.flush();
            REQUIRE(part.out.records().back().value == account{key, 3 * i + 1});
            ++found;
        }
    }
    CHECK(found == 500);
}

TEST_CASE("a record type without a codec can be reduced but not saved, and the error says what to do") {
    struct bare {
        int key;
    };
    auto key_of = [](const bare& b) { return b.key; };
    auto last = [](const bare&, const bare& b) { return b; };
    reduce_operator<int, bare, decltype(key_of), decltype(last)> op(key_of, last);
    operator_snapshot s;
    snapshot_writer to(s);
    CHECK_THROWS_WITH_AS(op.save(to),
                         "the state of reduce cannot be saved: its record type has no codec. Describe the type with "
                         "BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it.",
                         error);
}
