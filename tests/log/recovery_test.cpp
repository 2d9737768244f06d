#include <doctest/doctest.h>

#include <filesystem>

#include "runnel/log/log_error.hpp"
#include "tests/log/log_kit.hpp"

using namespace runnel;
using test::read_all;
using test::text_of;
using test::values;

namespace {

using strings = std::vector<std::string>;

TEST_CASE("a segment that was begun and never written to goes, and the one before it goes on") {
    const test::temporary_folder folder;
    const log_topic topic = log_folder(folder / "log").topic("t", {});
    {
        log_writer out = topic.writer(0);
        out.append({.time = {}, .value = "a"});
    }
    for (const std::string& half : {std::string(), std::string("runnelog"), std::string(64, '\0')}) {
        folder.write("log/t/0/00000000000000000001.log", half);
        log_writer out = topic.writer(0);
        CHECK(out.next_offset() == 1);
        CHECK_FALSE(default_file_system().exists(folder / "log/t/0/00000000000000000001.log"));
    }
    CHECK(values(topic) == strings{"a"});
    // Not if the one before does not end there.
    folder.write("log/t/0/00000000000000000002.log", "");
    CHECK(text_of<log_corrupted>([&] { topic.writer(0); }) != "");
}

TEST_CASE("behind a compacted segment, one that was begun and never written to is begun anew") {
    const test::temporary_folder folder;
    const log_topic topic = log_folder(folder / "log").topic("t", {});
    std::uint64_t last = 0;
    {
        log_writer out = topic.writer(0, {.batch_bytes = 1, .segment_bytes = 400});
        for (int i = 0; i < 9; ++i) out.append({.time = timestamp(i), .key = "k", .value = std::to_string(i)});
        out.flush();
        out.compact();
        last = std::stoull(*(default_file_system().list(folder / "log/t/0").end() - 3));
    }
    const auto names = default_file_system().list(folder / "log/t/0");
    const std::string name = names[names.size() - 3];
    CHECK(name.ends_with(".log"));
    folder.write("log/t/0/" + name, folder.read("log/t/0/" + name).substr(0, 30));
    log_writer out = topic.writer(0);
    CHECK(out.next_offset() == last);
    log_transaction t = out.begin("w");
    t.append({.time = {}, .value = "new"});
    t.prepare(1);
    out.commit("w", 1);
    CHECK(values(topic) == strings{std::to_string(last - 1), "new"});
    CHECK(values(topic, 0, log_place::time(timestamp(static_cast<std::int64_t>(last) - 1))).size() == 2);
}

TEST_CASE("damage in a complete segment is reported to who reads it, with file and byte, and what is behind can be read") {
    const test::temporary_folder folder;
    const log_topic topic = log_folder(folder / "log").topic("t", {});
    {
        log_writer out = topic.writer(0, {.segment_bytes = 1000});
        for (int i = 0; i < 60; ++i) {
            out.append({.time = timestamp(i), .value = std::to_string(i)});
            out.flush();
        }
    }
    const std::string name = default_file_system().list(folder / "log/t/0")[1];
    std::string bytes = folder.read("log/t/0/" + name);
    bytes[bytes.size() - 1] ^= 1;
    folder.write("log/t/0/" + name, bytes);
    log_writer out = topic.writer(0);
    log_reader in = topic.reader(0);
    std::uint64_t next = 0;
    const auto read = [&] {
        while (const log_record* r = in.next()) next = r->offset + 1;
    };
    const std::string text = text_of<log_corrupted>(read);
    CHECK(text.find(name + "\": at byte ") != std::string::npos);
    CHECK(text.find("What is before offset ") != std::string::npos);
    CHECK(next > 5);
    CHECK(next < 59);
    CHECK(text_of<log_corrupted>(read) == text);
    in.seek(log_place::offset(next + 1));
    CHECK(read_all(in).size() == 60 - next - 1);
}

TEST_CASE("a segment, topic or end of another version, place or kind is refused with what to do") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    {
        const log_topic topic = log.topic("t", {.partitions = 2});
        for (int i = 0; i < 2; ++i) {
            log_writer out = topic.writer(static_cast<std::size_t>(i));
            out.append({.time = {}, .value = "a"});
        }
    }
    const std::string segment = "log/t/0/00000000000000000000.log";
    const std::string good = folder.read(segment);
    const auto topic = [&] { return log_folder(folder / "log").topic("t"); };
    // The segment of another partition: damaged, as far as this one is concerned, and nothing of it is lost.
    folder.write(segment, folder.read("log/t/1/00000000000000000000.log"));
    CHECK(text_of<log_corrupted>([&] { read_all(topic()); }).find("not the header") != std::string::npos);
    folder.write(segment, good);
    CHECK(values(topic()) == strings{"a"});
    folder.write("log/t/0/end", "x");
    CHECK(text_of<log_corrupted>([&] { read_all(topic()); }).find("for writing") != std::string::npos);
    topic().writer(0);
    CHECK(values(topic()) == strings{"a"});
    std::filesystem::remove(folder / "log/t/0/end");
    CHECK(text_of<log_corrupted>([&] { read_all(topic()); }).find("missing") != std::string::npos);
    topic().writer(0);
    CHECK(values(topic()) == strings{"a"});
    folder.write("log/t/0/lock", "garbage");
    topic().writer(0);
    CHECK(values(topic()) == strings{"a"});
    folder.write("log/t/topic", folder.read("log/t/topic") + "x");
    CHECK(text_of<log_corrupted>(topic).find("t/topic") != std::string::npos);
}

}  // namespace
