#include <doctest/doctest.h>

#include <memory>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/log/log_kit.hpp"

using namespace runnel;
using test::read_all;
using test::text_of;
using test::values;

namespace {

using strings = std::vector<std::string>;
using prepared = std::vector<log_prepared>;

log_record text(std::string_view value) { return {.time = {}, .value = value}; }

/// A topic in memory; what is opened again is so by another process, as far as the log can tell.
struct world {
    testing::memory_file_system disk;
    log_topic topic() { return log_folder("/log", {.files = &disk}).topic("t", {}); }
};

TEST_CASE("records of a transaction are seen once it is committed, in order of offset, and never if it is aborted") {
    world w;
    const log_topic topic = w.topic();
    log_writer out = topic.writer(0, {.batch_bytes = 30});
    log_reader in = topic.reader(0);
    log_reader elsewhere = w.topic().reader(0);
    out.append(text("before"));
    log_transaction t = out.begin("sink 0");
    for (const char* v : {"one", "two", "three"}) t.append(text(v));
    out.append(text("between"));
    t.append(text("four"));
    out.flush();
    CHECK(values(read_all(in)) == strings{"before"});
    t.prepare(1);
    out.append(text("after"));
    out.flush();
    CHECK(values(read_all(in)) == strings{});
    CHECK(values(read_all(elsewhere)) == strings{"before"});
    CHECK(out.prepared() == prepared{{"sink 0", 1}});
    out.commit("sink 0", 1);
    const strings rest{"one", "two", "three", "between", "four", "after"};
    CHECK(values(read_all(in)).size() == rest.size());
    CHECK(values(read_all(elsewhere)).size() == rest.size());
    CHECK(out.prepared().empty());

    log_transaction gone = out.begin("sink 0");
    gone.append(text("never"));
    gone.abort();
    {
        log_transaction dropped = out.begin("sink 0");
        dropped.append(text("nor this"));
    }
    out.append(text("last"));
    out.flush();
    CHECK(values(read_all(in)) == strings{"last"});
    CHECK(values(topic).size() == 8);
    CHECK(text_of<error>([&] { t.append(text("x")); }).find("has been prepared") != std::string::npos);
    CHECK(text_of<error>([&] { gone.prepare(2); }) != "");
}

TEST_CASE("a reader may begin in the middle of a transaction, and several may be under way") {
    world w;
    const log_topic topic = w.topic();
    log_writer out = topic.writer(0);
    log_transaction a = out.begin("a");
    log_transaction b = out.begin("b");
    for (int i = 0; i < 3; ++i) {
        const std::string n = std::to_string(i);
        log_transaction c = out.begin("c");
        a.append(text("a" + n));
        b.append(text("b" + n));
        c.append(text("c" + n));
        c.prepare(static_cast<std::uint64_t>(i));
    }
    b.prepare(5);
    a.prepare(5);
    out.commit("c", 1);
    out.commit("a", 4);
    CHECK(values(topic) == strings{"c0", "c1"});
    out.abort_after("b", 4);
    CHECK(values(topic) == strings{"c0", "c1"});
    out.abort_after("c", 1);
    CHECK(values(topic) == strings{"c0", "c1"});
    out.commit("a", 9);
    const auto all = read_all(topic);
    CHECK(values(all) == strings{"c0", "c1", "a0", "a1", "a2"});
    for (std::uint64_t o = 0; o < out.next_offset(); ++o) {
        strings wanted;
        for (const auto& r : all)
            if (r.offset >= o) wanted.push_back(*r.value);
        CHECK(values(topic, 0, log_place::offset(o)) == wanted);
    }
}

TEST_CASE("what was prepared is found after a restart, by writer and checkpoint, and decided by whoever asks") {
    world w;
    {
        log_writer out = w.topic().writer(0, {.segment_bytes = 500});
        for (std::uint64_t n = 1; n <= 3; ++n) {
            log_transaction t = out.begin("s");
            t.append(text(std::to_string(n)));
            t.prepare(n);
        }
        log_transaction other = out.begin("r");
        other.append(text("of r"));
        other.prepare(2);
        for (int i = 0; i < 30; ++i) out.append(text(std::string(50, '.'))), out.flush();
        const auto unprepared = std::make_unique<log_transaction>(out.begin("s"));
        unprepared->append(text("lost"));
        out.append(text("behind"));
        out.flush();
        // The process dies here.
        const auto left = w.disk.crash_image(w.disk.operations(), testing::survivors::all);
        const log_topic topic = log_folder("/log", {.files = left.get()}).topic("t");
        log_writer again = topic.writer(0);
        CHECK(again.prepared() == prepared{{"s", 1}, {"s", 2}, {"s", 3}, {"r", 2}});
        again.commit("s", 2);
        again.commit("s", 2);
        again.abort_after("s", 2);
        again.abort_after("s", 2);
        CHECK(values(topic) == strings{"1", "2"});
        again.commit("r", 2);
        const auto all = values(topic);
        CHECK(all.size() == 2 + 1 + 30 + 1);
        CHECK(all[2] == "of r");
        CHECK(all.back() == "behind");
    }
    log_writer again = w.topic().writer(0);
    CHECK(again.prepared().size() == 4);
    again.commit("s", 3);
    again.commit("r", 3);
    CHECK(values(w.topic())[3] == "of r");
}

TEST_CASE("commit is durable in every mode, and nothing of it is seen before that") {
    for (const log_sync sync : {log_sync::never, log_sync::group}) {
        world w;
        const log_topic topic = w.topic();
        log_writer out = topic.writer(0, {.sync = sync});
        log_transaction t = out.begin("s");
        t.append(text("a"));
        t.prepare(1);
        const std::size_t before = w.disk.operations();
        out.commit("s", 1);
        const std::size_t after = w.disk.operations();
        const auto seen = [&](std::size_t n) {
            const auto left = w.disk.crash_image(n, testing::survivors::none);
            const log_topic found = log_folder("/log", {.files = left.get()}).topic("t");
            log_writer again = found.writer(0);
            return again.prepared().empty() ? values(found) : strings{"undecided"};
        };
        CHECK(seen(before) == strings{"undecided"});
        CHECK(seen(after) == strings{"a"});
        // What a reader was told at any moment survives.
        for (std::size_t n = before; n <= after; ++n) {
            const auto now = w.disk.crash_image(n, testing::survivors::all);
            const bool told = !values(log_folder("/log", {.files = now.get()}).topic("t")).empty();
            if (told) CHECK(seen(n) == strings{"a"});
        }
    }
}

TEST_CASE("an empty transaction, and one larger than many batches and segments, are like any other") {
    world w;
    const log_topic topic = w.topic();
    log_writer out = topic.writer(0, {.batch_bytes = 100, .segment_bytes = 1000});
    log_transaction empty = out.begin("s");
    empty.prepare(1);
    log_transaction large = out.begin("s");
    for (int i = 0; i < 500; ++i) large.append(text(std::to_string(i)));
    large.prepare(2);
    CHECK(values(topic).empty());
    out.commit("s", 2);
    const auto all = values(topic);
    CHECK(all.size() == 500);
    CHECK(all.back() == "499");
    CHECK(values(w.topic()) == all);
}

}  // namespace
