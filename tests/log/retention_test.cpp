#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using test::read_all;
using test::text_of;
using test::values;

namespace {

using strings = std::vector<std::string>;

std::ptrdiff_t segments_in(const testing::memory_file_system& disk) {
    const strings paths = disk.files();
    return std::count_if(paths.begin(), paths.end(), [](const std::string& path) { return path.ends_with(".log"); });
}

void append_all(log_writer& out, int from, int to) {
    for (int i = from; i < to; ++i) {
        const std::string value = std::to_string(i);
        out.append({.time = timestamp(i), .value = value});
        out.flush();
    }
}

TEST_CASE("the oldest segments go when the others hold enough bytes, and only whole ones") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    log_writer out = topic.writer(0, {.segment_bytes = 1000, .retain_bytes = 3000});
    log_reader slow = topic.reader(0);
    append_all(out, 0, 5);
    CHECK(slow.next()->offset == 0);
    append_all(out, 5, 200);
    CHECK(segments_in(disk) <= 5);
    const std::uint64_t first = topic.first_offset(0);
    CHECK(first > 100);
    const auto left = read_all(topic);
    CHECK(left.front().offset == first);
    CHECK(left.size() == 200 - first);
    CHECK(read_all(topic, 0, log_place::time(timestamp(3))) == left);
    CHECK(text_of<log_out_of_range>([&] { read_all(topic, 0, log_place::offset(first - 1)); })
              .find("the first one is " + std::to_string(first)) != std::string::npos);
    // What it has opened it still reads.
    std::uint64_t last = 0;
    CHECK(text_of<log_out_of_range>([&] {
              while (const log_record* r = slow.next()) last = r->offset;
          }) != "");
    CHECK(last > 3);
    CHECK(last < first);
    slow.seek(log_place::beginning());
    CHECK(read_all(slow) == left);
}

TEST_CASE("segments go when they have been complete for long enough, by the clock") {
    testing::memory_file_system disk;
    testing::manual_clock clock(timestamp(std::chrono::hours(1000)));
    const log_topic topic = log_folder("/log", {.files = &disk, .clock = &clock}).topic("t", {});
    log_writer out = topic.writer(0, {.segment_bytes = 1000, .retain_for = std::chrono::hours(1)});
    append_all(out, 0, 30);
    const auto many = segments_in(disk);
    CHECK(many > 2);
    clock.advance(std::chrono::minutes(59));
    out.apply_retention();
    CHECK(segments_in(disk) == many);
    clock.advance(std::chrono::minutes(1));
    out.apply_retention();
    CHECK(segments_in(disk) == 1);
    append_all(out, 30, 31);
    CHECK(values(topic).back() == "30");
}

TEST_CASE("no segment goes that an undecided transaction has begun in") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    const log_writer_options options{.segment_bytes = 1000, .retain_bytes = 1};
    {
        log_writer out = topic.writer(0, options);
        log_transaction t = out.begin("w");
        t.append({.time = {}, .value = "of the transaction"});
        t.prepare(1);
        append_all(out, 0, 100);
        CHECK(topic.first_offset(0) == 0);
    }
    log_writer out = topic.writer(0, options);
    CHECK(out.prepared() == std::vector<log_prepared>{{"w", 1}});
    append_all(out, 100, 120);
    out.commit("w", 1);
    CHECK(values(topic).front() == "of the transaction");
    append_all(out, 120, 150);
    CHECK(topic.first_offset(0) > 100);
    CHECK(segments_in(disk) == 1);
}

TEST_CASE("a partition whose first segments have been removed opens again, with transactions decided since") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    const log_writer_options options{.segment_bytes = 1000, .retain_bytes = 1};
    std::uint64_t next = 0;
    {
        log_writer out = topic.writer(0, options);
        log_transaction t = out.begin("w");
        t.prepare(1);
        append_all(out, 0, 12);
        out.commit("w", 1);
        out.apply_retention();
        CHECK(topic.first_offset(0) > 0);
        next = out.next_offset();
    }
    log_writer out = topic.writer(0, options);
    CHECK(out.next_offset() == next);
    CHECK(out.prepared().empty());
}

TEST_CASE("compaction keeps of each key the latest record of the complete segments, and every record without a key") {
    tests::random_numbers random(5);
    for (int round = 0; round < 30; ++round) {
        CAPTURE(round);
        testing::memory_file_system disk;
        testing::manual_clock clock(timestamp(std::chrono::hours(1000)));
        const log_topic topic = log_folder("/log", {.files = &disk, .clock = &clock}).topic("t", {});
        const log_writer_options options{.batch_bytes = 200, .segment_bytes = 500 + random.below(3000)};
        auto out = std::make_unique<log_writer>(topic.writer(0, options));
        std::vector<test::kept_record> all;
        for (int pass = 0; pass < 3; ++pass) {
            for (int i = 0; i < 200; ++i) {
                const std::string key = std::to_string(random.below(20));
                const std::string value = std::to_string(i);
                log_record r{.time = timestamp(random.between(0, 1000)), .value = value};
                if (random.chance(70)) r.key = key;
                if (r.key && random.chance(10)) r.value = std::nullopt;
                if (random.chance(5)) {
                    log_transaction t = out->begin("w");
                    t.append(r);
                    if (random.chance(50)) continue;
                    t.prepare(static_cast<std::uint64_t>(i));
                    out->commit("w", static_cast<std::uint64_t>(i));
                    r.offset = out->next_offset() - 3;
                } else {
                    r.offset = out->append(r);
                }
                all.push_back(test::keep(r));
            }
            out->flush();
            CHECK(read_all(topic) == all);
            // Everything before the last segment is complete.
            std::vector<std::uint64_t> bases;
            for (const std::string& name : disk.list("/log/t/0"))
                if (name.ends_with(".log")) bases.push_back(std::stoull(name));
            const std::uint64_t complete = bases.back();
            log_reader old = topic.reader(0);
            const log_record* first = old.next();
            CHECK(first != nullptr);
            const bool forget = random.chance(50);
            out->compact(forget ? duration::zero() : std::chrono::hours(1));
            std::map<std::string, std::uint64_t> latest;
            for (const auto& r : all)
                if (r.key && r.offset < complete) latest[*r.key] = r.offset;
            std::vector<test::kept_record> wanted;
            for (const auto& r : all)
                if (r.offset >= complete || !r.key || (latest[*r.key] == r.offset && (r.value || !forget)))
                    wanted.push_back(r);
            CHECK(read_all(topic) == wanted);
            CHECK(read_all(log_folder("/log", {.files = &disk}).topic("t")) == wanted);
            for (int i = 0; i < 10; ++i) {
                const std::uint64_t at = random.below(all.back().offset + 2);
                const auto rest = read_all(topic, 0, log_place::offset(at));
                const auto from = std::find_if(wanted.begin(), wanted.end(), [&](const auto& r) { return r.offset >= at; });
                CHECK(std::equal(rest.begin(), rest.end(), from, wanted.end()));
                const std::int64_t t = random.between(0, 1100);
                const auto later = read_all(topic, 0, log_place::time(timestamp(t)));
                const auto since = std::find_if(wanted.begin(), wanted.end(), [&](const auto& r) { return r.time >= t; });
                CHECK(std::equal(later.begin(), later.end(), since, wanted.end()));
            }
            // A reader that was in the middle of it goes on without a loss.
            auto seen = static_cast<std::size_t>(wanted.front().offset < first->offset);
            for (const log_record* r = first; r; r = old.next())
                if (seen < wanted.size() && r->offset == wanted[seen].offset) ++seen;
            CHECK(seen == wanted.size());
            all = wanted;
            out.reset();
            out = std::make_unique<log_writer>(topic.writer(0, options));
            CHECK(out->recovery().cut == 0);
            CHECK(read_all(topic) == wanted);
        }
    }
}

TEST_CASE("the segment in which the end for readers lies is neither compacted nor removed, if it is complete, too") {
    for (const bool compacts : {true, false}) {
        testing::memory_file_system disk;
        const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
        // What is appended behind the flush is written, batch by batch, and not shown.
        log_writer out = topic.writer(0, {.batch_bytes = 1, .segment_bytes = 1000, .retain_bytes = compacts ? 0u : 1u});
        for (int i = 0; i < 4; ++i) out.append({.time = timestamp(i), .key = "k", .value = std::to_string(i)});
        out.flush();
        for (int i = 4; i < 14; ++i) out.append({.time = timestamp(i), .key = "k", .value = std::to_string(i)});
        CHECK(segments_in(disk) == 2);
        if (compacts) out.compact();
        else out.apply_retention();
        const log_topic elsewhere = log_folder("/log", {.files = &disk}).topic("t");
        CHECK(values(topic) == strings{"0", "1", "2", "3"});
        CHECK(values(elsewhere) == strings{"0", "1", "2", "3"});
        out.flush();
        if (compacts) out.compact();
        else out.apply_retention();
        CHECK(values(topic).back() == "13");
        CHECK(values(topic).size() < 14);
        CHECK(values(elsewhere) == values(topic));
    }
}

TEST_CASE("a crash in the middle of a compaction loses nothing, and the next writer clears up") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    const log_writer_options options{.segment_bytes = 1000};
    std::vector<std::pair<std::string, std::string>> before;
    {
        log_writer out = topic.writer(0, options);
        for (int i = 0; i < 60; ++i) {
            out.append({.time = timestamp(i), .key = std::to_string(i % 7), .value = std::to_string(i)});
            out.flush();
        }
    }
    for (const std::string& name : disk.list("/log/t/0"))
        if (name.ends_with(".log")) before.emplace_back(name, disk.get("/log/t/0/" + name));
    topic.writer(0, options).compact();
    const auto compacted = values(topic);
    const auto compacted_segments = segments_in(disk) - 1;
    CHECK(compacted_segments < 6);
    CHECK(compacted.size() < 30);
    // As if what it had replaced had not been removed, and it had begun another one.
    for (std::size_t i = 1; i + 1 < before.size(); ++i)
        if (!disk.exists("/log/t/0/" + before[i].first))
            disk.put("/log/t/0/" + before[i].first, before[i].second);
    disk.put("/log/t/0/" + before[0].first + ".compacting", "half");
    CHECK(values(topic) == compacted);
    topic.writer(0, options);
    CHECK(values(topic) == compacted);
    CHECK_FALSE(disk.exists("/log/t/0/" + before[0].first + ".compacting"));
    CHECK(segments_in(disk) == 1 + compacted_segments);
}

TEST_CASE("a complete segment that has become shorter is reported") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    {
        log_writer out = topic.writer(0, {.segment_bytes = 1000});
        append_all(out, 0, 60);
    }
    const std::string path = "/log/t/0/" + disk.list("/log/t/0")[1];
    const std::string bytes = disk.get(path);
    for (const std::size_t size : {std::size_t{64}, bytes.size() - 97, bytes.size() - 1}) {
        disk.put(path, bytes.substr(0, size));
        CHECK(text_of<log_corrupted>([&] { read_all(topic); }) != "");
    }
    disk.put(path, bytes);
    CHECK(read_all(topic).size() == 60);
}

TEST_CASE("a segment that is missing in the middle is reported") {
    testing::memory_file_system disk;
    const log_topic topic = log_folder("/log", {.files = &disk}).topic("t", {});
    {
        log_writer out = topic.writer(0, {.segment_bytes = 1000});
        append_all(out, 0, 60);
    }
    const auto names = disk.list("/log/t/0");
    disk.remove("/log/t/0/" + names[2]);
    std::vector<std::uint64_t> seen;
    log_reader in = topic.reader(0);
    const std::string text = text_of<log_corrupted>([&] {
        while (const log_record* r = in.next()) seen.push_back(r->offset);
    });
    CHECK(text.find(names[1]) != std::string::npos);
    CHECK(text.find("begins at offset " + std::to_string(std::stoull(names[2]))) != std::string::npos);
    CHECK(seen.size() == std::stoull(names[2]));
    CHECK(text_of<log_corrupted>([&] { in.next(); }) == text);
    in.seek(log_place::offset(std::stoull(names[3])));
    CHECK(read_all(in).size() == 60 - std::stoull(names[3]));
}

}  // namespace
