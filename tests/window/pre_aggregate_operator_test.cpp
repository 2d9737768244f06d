#include "runnel/window/pre_aggregate_operator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/operators/late_output.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/sum.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct click {
    std::string user;
    std::int64_t weight;
};

const auto user_of = [](const click& c) -> const std::string& { return c.user; };

auto pre_sum(const window_spec<sliding_windows>& spec) {
    auto agg = bind_aggregate<click>(sum(&click::weight));
    return pre_aggregate_operator<std::string, click, decltype(user_of), decltype(agg)>(
        user_of, spec.windows().slices(spec.lateness()), agg);
}

using op = decltype(pre_sum(sliding(2ns, 1ns).drop_late()));
using partial = op::output_type;

timed<click> at(std::int64_t t, std::string user, std::int64_t weight) {
    return {{std::move(user), weight}, timestamp(t)};
}

std::vector<partial> sorted(const testing::operator_harness<op>& h) {
    std::vector<partial> all;
    for (const auto& r : h.outputs()) {
        CHECK(r.time == r.value.time);
        all.push_back(r.value);
    }
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.time < b.time; });
    return all;
}

}  // namespace

TEST_CASE("the records of a batch that have key and slice in common become one, with the latest time of theirs") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()));
    h.push_batch({at(3, "ann", 1), at(5, "bob", 2), at(9, "ann", 4), at(7, "ann", 8), at(10, "ann", 16)});
    CHECK(sorted(h) == std::vector<partial>{{"bob", 2, timestamp(5), 1},
                                            {"ann", 13, timestamp(9), 3},
                                            {"ann", 16, timestamp(10), 1}});
}

TEST_CASE("nothing is held back from batch to batch") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()));
    h.push_batch({at(3, "ann", 1)});
    h.push_batch({at(4, "ann", 2)});
    CHECK(sorted(h) == std::vector<partial>{{"ann", 1, timestamp(3), 1}, {"ann", 2, timestamp(4), 1}});
}

TEST_CASE("a record whose slice the watermark has passed goes by itself, in its place") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()));
    h.watermark(timestamp(9));
    h.push_batch({at(15, "ann", 1), at(3, "ann", 2), at(3, "ann", 4), at(15, "ann", 8), at(8, "ann", 16),
                  at(10, "ann", 32), at(11, "ann", 64)});
    std::vector<std::int64_t> sums;
    for (const auto& r : h.outputs()) sums.push_back(r.value.value);
    CHECK(sums == std::vector<std::int64_t>{1, 2, 4, 8, 16, 96});
}

TEST_CASE("a slice that the watermark has only reached into is still put together") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()));
    h.watermark(timestamp(8));
    h.push_batch({at(3, "ann", 1), at(4, "ann", 2)});
    CHECK(sorted(h) == std::vector<partial>{{"ann", 3, timestamp(4), 2}});
}

TEST_CASE("records between windows are left out") {
    testing::operator_harness h(pre_sum(sliding(2ns, 10ns).drop_late()));
    h.push_batch({at(5, "ann", 1), at(1, "ann", 2), at(7, "ann", 4)});
    CHECK(sorted(h) == std::vector<partial>{{"ann", 2, timestamp(1), 1}});
}

TEST_CASE("output that is refused is sent later, once") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()), {.batch_size = 1});
    h.output().refuse_next(20);
    std::vector<timed<click>> records;
    for (int i = 0; i != 100; ++i) {
        const std::string user = std::to_string(1000 + i);
        records.push_back(at(i % 3, user, i));
        records.push_back(at(i % 3, user, i));
    }
    h.push_batch(records);
    std::int64_t total = 0;
    for (const auto& r : h.outputs()) total += r.value.value;
    CHECK(h.outputs().size() == 100);
    CHECK(total == 99 * 100);
}

TEST_CASE("where no key is hot records go by themselves, and when one has become hot that is noticed") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()));
    const auto sent_of = [&](bool is_hot, int batches) {
        const std::size_t before = h.outputs().size();
        for (int b = 0; b != batches; ++b) {
            std::vector<timed<click>> records;
            for (int i = 0; i != 40; ++i) records.push_back(at(i % 3, is_hot && i % 8 ? "ann" : std::to_string(i), 1));
            h.push_batch(records);
        }
        return h.outputs().size() - before;
    };
    CHECK(sent_of(true, 100) == 100 * 6);
    CHECK(sent_of(false, 1) == 40);
    CHECK(sent_of(true, 1) == 40);  // That there was none is believed for one batch,
    CHECK(sent_of(true, 1) == 6);
    CHECK(sent_of(false, 1000) == 1000 * 40);
    CHECK(sent_of(true, 100) <= 64 * 40 + 36 * 6);  // or for 64 in the end.
    CHECK(sent_of(true, 10) == 10 * 6);
    std::int64_t total = 0;
    std::uint64_t records = 0;
    for (const auto& r : h.outputs()) total += r.value.value, records += r.value.records;
    CHECK(total == (100 + 1 + 1 + 1 + 1000 + 100 + 10) * 40);
    CHECK(records == static_cast<std::uint64_t>(total));
}

TEST_CASE("records that go by themselves are sent once where output is refused, and named where they fail") {
    testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()), {.batch_size = 1});
    std::vector<timed<click>> records;
    for (int i = 0; i != 40; ++i) records.push_back(at(i % 3, std::to_string(i), i));
    h.push_batch(records);
    h.output().refuse_next(20);
    h.push_batch(records);
    CHECK(h.outputs().size() == 80);
    CHECK(h.outputs()[79].value == partial{"39", 39, timestamp(0), 1});
}

TEST_CASE("a record that can't be taken in is named, or left out; the others are not lost") {
    const std::vector<timed<click>> records{at(1, "ann", INT64_MAX), at(2, "bob", 2), at(3, "ann", 1), at(4, "cid", 4)};
    testing::operator_harness ends(pre_sum(sliding(20ns, 10ns).drop_late()));
    try {
        ends.push_batch(records);
        FAIL("the overflow has vanished");
    } catch (const job_error& e) {
        CHECK(e.record_time() == timestamp(3));
    }
    for (const std::size_t n : {3, 4}) {
        CAPTURE(n);
        testing::operator_harness h(pre_sum(sliding(20ns, 10ns).drop_late()),
                                    {.on_failure = {.what = on_error::skip}});
        h.push_batch({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(n)});
        std::vector<partial> expected{{"ann", INT64_MAX, timestamp(1), 1}, {"bob", 2, timestamp(2), 1}};
        if (n == 4) expected.push_back({"cid", 4, timestamp(4), 1});
        CHECK(sorted(h) == expected);
        CHECK(h.skipped() == 1);
    }
}

TEST_CASE("after a restore the highest watermark counts, so that no late record is put together with another") {
    const auto prototype = pre_sum(sliding(20ns, 10ns).drop_late());
    operator_snapshot all;
    for (std::int64_t w : {5, 9, 7}) {
        op one(prototype);
        output<partial> none;
        one.advance(timestamp(w), none);
        operator_snapshot part;
        snapshot_writer to(part);
        one.save(to);
        all.add(std::move(part));
    }
    op restored(prototype);
    snapshot_reader from(all, {0, 128});
    restored.load(from);
    operator_snapshot again;
    snapshot_writer to(again);
    restored.save(to);
    CHECK(again.local.at("watermark") == std::vector{all.local.at("watermark")[1]});
}

TEST_CASE("a partial aggregate stands for as many records as it has taken in") {
    CHECK(records_in(partial{"ann", 1, timestamp(3), 7}) == 7);
    CHECK(records_in(5) == 1);
}
