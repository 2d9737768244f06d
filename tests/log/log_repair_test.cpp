#include "runnel/log/log_repair.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using test::kept_record;
using test::read_all;
using test::text_of;
using test::values;

namespace {

using strings = std::vector<std::string>;

log_record text(std::string_view value) { return {.time = {}, .value = value}; }

const std::string segment = "/log/t/0/00000000000000000000.log";

/// A log with a topic "t" in memory. What is opened again is so by another process, as far as the log can tell.
struct world {
    testing::memory_file_system disk;
    log_topic topic(const std::string& folder = "/log", std::size_t partitions = 1) {
        return log_folder(folder, {.files = &disk}).topic("t", {.partitions = partitions});
    }
    log_repair repair(const std::string& into = "/copy") { return repair_topic({.files = &disk}, "/log", "t", into); }
    /// Every batch has one record.
    log_writer writer() { return topic().writer(0, {.batch_bytes = 1}); }
    void flip(const std::string& path, std::size_t at) {
        std::string bytes = disk.get(path);
        bytes.at(at) ^= 0x10;
        disk.put(path, bytes);
    }
    /// Where a record with this value is.
    std::size_t place_of(const std::string& value) { return disk.get(segment).find(value); }
};

/// Bytes of a batch with one record of such a value.
std::uint64_t batch_of(const std::string& value) { return 64 + 16 + value.size(); }

}  // namespace

TEST_CASE("a topic without damage is copied with all offsets, keys, headers, times and positions of groups") {
    world w;
    {
        const log_topic topic = w.topic("/log", 3);
        log_writer out = topic.writer(1, {.segment_bytes = 400});
        const log_header header{"from", "here"};
        for (int i = 0; i < 30; ++i) {
            out.append({.time = timestamp(100 - i), .key = "k", .value = std::string(20, 'v'), .headers = {&header, 1}});
            out.append({.time = timestamp(i), .key = "deleted"});
            out.append({.time = timestamp(i), .value = ""});
            out.flush();
        }
        topic.group("readers").commit(1, 17);
    }
    const std::size_t before = w.disk.operations();
    const log_repair done = w.repair();
    for (std::size_t i = before; i < w.disk.operations(); ++i)
        CHECK(w.disk.operation(i).find("\"/log") == std::string::npos);
    CHECK(done.lost.empty());
    CHECK(done.partitions == 3);
    CHECK(done.records == 90);
    CHECK(done.bytes == 30 * (1 + 20 + 7));
    const log_topic from = w.topic("/log", 3), to = w.topic("/copy", 3);
    CHECK(read_all(to, 1) == read_all(from, 1));
    CHECK(read_all(to, 0).empty());
    CHECK(to.group("readers").position(1) == 17);
    CHECK_FALSE(to.group("readers").position(0));
    for (const int t : {-1, 0, 29, 85, 100, 101})
        CHECK(read_all(to, 1, log_place::time(timestamp(t))) == read_all(from, 1, log_place::time(timestamp(t))));
    log_writer out = to.writer(1);
    CHECK(out.recovery().cut == 0);
    CHECK(out.append(text("next")) == from.end_offset(1));
    log_writer first = to.writer(0);
    CHECK(first.append(text("first")) == 0);
}

TEST_CASE("of a damaged middle exactly the batch that is hit is lost, and is reported with offsets, place and bytes") {
    world w;
    const strings all{"zero", "one", "two", "three", "four"};
    {
        log_writer out = w.writer();
        for (const std::string& v : all) out.append(text(v));
        out.sync();
    }
    const std::string whole = w.disk.get(segment);
    const auto check = [&](const std::string& into, const strings& left, std::uint64_t first, std::uint64_t end,
                           std::uint64_t position, std::uint64_t bytes) {
        CAPTURE(into);
        CHECK_FALSE(text_of<log_corrupted>([&] { read_all(w.topic()); }).empty());
        const log_repair done = w.repair(into);
        CHECK(values(w.topic(into)) == left);
        REQUIRE(done.lost.size() == 1);
        const log_loss& l = done.lost[0];
        CHECK(l.partition == 0);
        CHECK(l.first == first);
        CHECK(l.end == end);
        CHECK(l.file == segment);
        CHECK(l.position == position);
        CHECK(l.bytes == bytes);
        CHECK(w.topic(into).end_offset(0) == 5);
        w.disk.put(segment, whole);
    };
    const std::uint64_t two = 64 + batch_of("zero") + batch_of("one");
    w.flip(segment, w.place_of("two"));  // The body.
    check("/body", {"zero", "one", "three", "four"}, 2, 3, two, batch_of("two"));
    w.flip(segment, two + 20);  // The header.
    check("/header", {"zero", "one", "three", "four"}, 2, 3, two, batch_of("two"));
    std::string without = whole;
    without.erase(two + 5, 12 + batch_of("two"));  // From inside one into the next.
    w.disk.put(segment, without);
    check("/missing bytes", {"zero", "one", "four"}, 2, 4, two, batch_of("three") - 12);
    without = whole;
    without.erase(two, batch_of("two"));
    w.disk.put(segment, without);
    check("/missing batch", {"zero", "one", "three", "four"}, 2, 3, two, 0);
    w.flip(segment, 20);
    check("/segment header", all, 0, 0, 0, 64);
    w.disk.put(segment, whole.substr(0, two + 10));
    check("/short", {"zero", "one"}, 2, 5, two, 10);
}

TEST_CASE("a missing segment is lost alone") {
    world w;
    {
        log_writer out = w.topic().writer(0, {.batch_bytes = 1, .segment_bytes = 200});
        for (int i = 0; i < 9; ++i) out.append(text("value " + std::to_string(i)));
        out.sync();
    }
    strings segments;
    for (const std::string& name : w.disk.list("/log/t/0"))
        if (name.ends_with(".log")) segments.push_back(name);
    REQUIRE(segments.size() > 3);
    w.disk.remove("/log/t/0/" + segments[1]);
    w.disk.remove("/log/t/0/" + segments.back());
    const log_repair done = w.repair();
    REQUIRE(done.lost.size() == 2);
    CHECK(done.lost[0].first == std::stoull(segments[1]));
    CHECK(done.lost[0].end == std::stoull(segments[2]));
    CHECK(done.lost[1].first == std::stoull(segments.back()));
    CHECK(done.lost[1].end == 9);
    for (const kept_record& r : read_all(w.topic("/copy"))) CHECK(r.value == "value " + std::to_string(r.offset));
    CHECK(w.topic("/copy").end_offset(0) == 9);
}

TEST_CASE("what is behind a damaged or missing end is copied, too") {
    for (const bool missing : {true, false}) {
        world w;
        {
            log_writer out = w.writer();
            out.append(text("one"));
            out.append(text("two"));
        }
        if (missing) w.disk.remove("/log/t/0/end");
        else w.flip("/log/t/0/end", 10);
        const log_repair done = w.repair();
        REQUIRE(done.lost.size() == 1);
        CHECK(done.lost[0].file == "/log/t/0/end");
        CHECK(values(w.topic("/copy")) == strings{"one", "two"});
    }
}

TEST_CASE("aborted transactions are left out, and prepared ones can be committed in the copy as before") {
    world w;
    {
        log_writer out = w.writer();
        log_transaction done = out.begin("sink 0");
        done.append(text("committed"));
        out.append(text("hit"));
        done.prepare(1);
        out.commit("sink 0", 1);
        log_transaction gone = out.begin("sink 0");
        gone.append(text("aborted"));
        gone.abort();
        log_transaction waits = out.begin("sink 0");
        waits.append(text("prepared"));
        log_transaction other = out.begin("sink 1");
        other.append(text("of another"));
        waits.append(text("also prepared"));
        out.append(text("after"));
        waits.prepare(2);
        other.prepare(3);
        out.sync();
    }
    w.flip(segment, w.place_of("hit"));
    const log_repair done = w.repair();
    CHECK(done.lost.size() == 1);
    CHECK(done.undecided == 2);
    const log_topic topic = w.topic("/copy");
    CHECK(values(topic) == strings{"committed", "after"});
    log_writer out = topic.writer(0);
    CHECK(out.prepared() == std::vector<log_prepared>{{"sink 0", 2}, {"sink 1", 3}});
    out.commit("sink 0", 2);
    CHECK(values(topic) == strings{"committed", "after", "prepared", "also prepared"});
    out.abort_after("sink 1", 2);
    CHECK(values(topic) == strings{"committed", "after", "prepared", "also prepared"});
    CHECK(out.prepared().empty());
}

TEST_CASE("records of a transaction whose end is lost are not taken for committed, and reported") {
    world w;
    std::size_t marker = 0;
    {
        log_writer out = w.writer();
        log_transaction t = out.begin("sink 0");
        t.append(text("in it"));
        t.prepare(1);
        out.sync();
        marker = w.disk.get(segment).size();
        out.commit("sink 0", 1);
        out.append(text("after"));
        out.sync();
    }
    CHECK(values(w.topic()) == strings{"in it", "after"});
    w.flip(segment, marker + 30);
    const log_repair done = w.repair();
    REQUIRE(done.lost.size() == 2);
    CHECK(done.lost[0].first == 1);
    CHECK(done.lost[0].end == 2);
    CHECK(done.lost[0].what.find("transaction") != std::string::npos);
    CHECK(done.lost[1].first == 3);
    CHECK(done.undecided == 0);
    CHECK(values(w.topic("/copy")) == strings{"after"});
}

TEST_CASE("what is in the way of a repair is refused, and nothing is changed") {
    world w;
    w.writer().append(text("one"));
    const auto refusal = [&](const std::string& topic, const std::string& into) {
        return text_of<error>([&] { repair_topic({.files = &w.disk}, "/log", topic, into); });
    };
    const strings files = w.disk.files();
    CHECK(refusal("t", "/log").find("there is something at \"/log/t\" already. Name") == 0);
    CHECK(refusal("other", "/copy").find("there is no topic \"other\"") == 0);
    CHECK(refusal("../t", "/copy").find("a name has") != std::string::npos);
    const std::string description = w.disk.get("/log/t/topic");
    w.flip("/log/t/topic", 9);
    CHECK(refusal("t", "/copy").find("\"/log/t/topic\": at byte 0: this does not describe a topic") == 0);
    CHECK(w.disk.files() == files);
    w.disk.put("/log/t/topic", description);
    CHECK(refusal("t", "/copy").empty());
    CHECK(refusal("t", "/copy").find("already") != std::string::npos);
}

TEST_CASE("whatever is damaged, the copy has only what was there, and all of it that is not reported as lost") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        world w;
        {
            const log_topic topic = w.topic();
            const std::uint64_t segment_bytes = 300 + random.below(2000);
            std::optional<log_writer> out;
            std::map<int, log_transaction> open;
            int checkpoint = 0;
            for (int i = 0; i < 150; ++i) {
                if (!out) out.emplace(topic.writer(0, {.batch_bytes = 1 + random.below(200), .segment_bytes = segment_bytes}));
                const std::string value = "value " + std::to_string(i) + std::string(random.below(40), '.');
                const int writer = static_cast<int>(random.below(2));
                const std::string name = "writer " + std::to_string(writer);
                switch (random.below(8)) {
                    case 0: open.try_emplace(writer, out->begin(name)); break;
                    case 1:
                        if (const auto t = open.find(writer); t != open.end()) {
                            if (random.below(4) == 0) t->second.abort();
                            else t->second.prepare(++checkpoint);
                            open.erase(t);
                        }
                        break;
                    case 2: out->commit(name, checkpoint); break;
                    case 3:
                        if (random.below(8) == 0) out->compact();
                        else out->sync();
                        break;
                    default: {
                        const std::string key = "k" + std::to_string(random.below(5));
                        const log_record r{.time = timestamp(i), .key = key, .value = value};
                        if (const auto t = open.find(writer); t != open.end() && random.below(2)) t->second.append(r);
                        else out->append(r);
                    }
                }
            }
            for (const int writer : {0, 1})
                if (random.below(3)) out->commit("writer " + std::to_string(writer), checkpoint);
            open.clear();
            out->sync();
        }
        std::map<std::uint64_t, kept_record> good;
        for (const kept_record& r : read_all(w.topic())) good.emplace(r.offset, r);
        const std::uint64_t end = w.topic().end_offset(0);
        strings segments;
        for (const std::string& f : w.disk.files())
            if (f.ends_with(".log")) segments.push_back(f);
        for (std::uint64_t n = 1 + random.below(3); n != 0; --n) {
            const std::string& path = segments[random.below(segments.size())];
            if (!w.disk.exists(path)) continue;
            std::string bytes = w.disk.get(path);
            if (bytes.empty()) continue;
            const std::size_t at = random.below(bytes.size());
            switch (random.below(5)) {
                case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
                case 1: std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                    std::min<std::size_t>(bytes.size() - at, random.below(300)), '\0'); break;
                case 2: bytes.resize(at); break;
                case 3: bytes.erase(at, random.below(200)); break;
                default:
                    // The first one that is left is taken for what retention has kept.
                    if (path != segments.front()) w.disk.remove(path);
                    continue;
            }
            w.disk.put(path, bytes);
        }
        const log_repair done = w.repair();
        const std::vector<kept_record> copied = read_all(w.topic("/copy"));
        CHECK(copied.size() == done.records);
        // Behind an undecided transaction readers have seen nothing yet; in the copy they do.
        const std::uint64_t seen = good.empty() ? 0 : good.rbegin()->first;
        std::map<std::uint64_t, kept_record> left;
        for (const kept_record& r : copied) {
            left.emplace(r.offset, r);
            if (r.offset <= seen) {
                REQUIRE(good.contains(r.offset));
                CHECK(good.at(r.offset) == r);
            }
        }
        for (const auto& [offset, r] : good)
            if (!left.contains(offset))
                CHECK(std::any_of(done.lost.begin(), done.lost.end(), [at = offset](const log_loss& l) {
                    return l.first <= at && at < l.end;
                }));
        log_writer out = w.topic("/copy").writer(0);
        CHECK(out.next_offset() >= end);
    }
}
