#include "runnel/connect/lines.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "tests/connect/drive.hpp"
#include "tests/connect/scripted_origin.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;

namespace {

/// A line is one decimal number.
std::optional<int> number(std::string_view line) {
    int n = 0;
    const auto [end, failure] = std::from_chars(line.data(), line.data() + line.size(), n);
    if (failure == std::errc::result_out_of_range) throw decode_error("the number is out of range");
    if (failure != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return n;
}

/// Numbers counted in a base that the header names: a format with a header, as simple as can be.
struct based_format {
    using value_type = int;
    static constexpr std::string_view name = "based";
    static constexpr bool blank_lines = false;
    static constexpr bool header = true;
    struct decoder {
        int base = 10;
        void read_header(std::string_view line) {
            const auto given = number(line);
            if (!given) throw decode_error("the base is not a number");
            base = *given;
        }
        void append(std::string_view line, batch<int>& into) {
            int n = 0;
            const auto [end, failure] = std::from_chars(line.data(), line.data() + line.size(), n, base);
            if (failure != std::errc() || end != line.data() + line.size()) throw decode_error("not a number");
            into.append_raw(n, timestamp());
        }
    };
    decoder make_decoder() const { return {}; }
    bool has_header() const { return true; }
};

}  // namespace

TEST_CASE("text lines are all lines, blank ones included, without their ends") {
    const test::temporary_folder folder;
    auto lines = text_lines(folder.write("log", "one\r\n\n  two \nthree"));
    CHECK(lines.name() == "text_lines " + folder / "log");
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == std::vector<std::string>{"one", "", "  two ", "three"});
    CHECK(d.bad.empty());
}

TEST_CASE("an empty file gives no lines") {
    const test::temporary_folder folder;
    auto lines = text_lines(folder.write("empty", ""));
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values.empty());
    CHECK(d.bad.empty());
}

TEST_CASE("a line that is not UTF-8 or too long is a bad record with place, cause and bytes; the others are read") {
    const test::temporary_folder folder;
    const std::string path =
        folder.write("log", "good\nb\xFF" "d\n" + std::string(21, 'x') + "\nZ\xC3\xBCrich\n\xC3\n");
    auto lines = text_lines(path, {.max_line = 20});
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == std::vector<std::string>{"good", "Z\xC3\xBCrich"});
    REQUIRE(d.bad.size() == 3);
    CHECK(d.bad[0].where == path + ":2 byte 5");
    CHECK(d.bad[0].why == "byte 2: not UTF-8");
    CHECK(d.bad[0].raw == "b\xFF" "d");
    CHECK(d.bad[1].where == path + ":3 byte 9");
    CHECK(d.bad[1].why == "the line is longer than the limit of 20 bytes. Raise max_line if it is wanted");
    CHECK(d.bad[1].raw == std::string(20, 'x'));
    CHECK(d.bad[2].where == path + ":5 byte 39");
}

TEST_CASE("parsed lines are what the function makes of them; nothing and decode_error are bad records") {
    const test::temporary_folder folder;
    const std::string path = folder.write("numbers", "1\nx\n-3\n99999999999\n\n5");
    auto lines = parsed_lines<int>(path, number);
    test::driver<int> d(lines);
    d.run();
    CHECK(d.values == std::vector<int>{1, -3, 5});
    REQUIRE(d.bad.size() == 3);
    CHECK(d.bad[0].why == "the parse function made nothing of it");
    CHECK(d.bad[1].why == "the number is out of range");
    CHECK(d.bad[1].where == path + ":4 byte 7");
    CHECK(d.bad[2].raw == "");
}

TEST_CASE("another exception of the parse function ends the reading and names the line") {
    const test::temporary_folder folder;
    const std::string path = folder.write("numbers", "1\nx\n");
    const auto parse = [](std::string_view line) { return std::optional(std::stoi(std::string(line))); };
    auto lines = parsed_lines<int>(path, parse);
    test::driver<int> d(lines);
    try {
        d.run();
        FAIL("no exception");
    } catch (const error& e) {
        CHECK(std::string(e.what()) == path + ":2 byte 2: stoi");
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::invalid_argument);
    }
}

TEST_CASE("an exception from the report of a bad record passes through") {
    const test::temporary_folder folder;
    auto lines = parsed_lines<int>(folder.write("numbers", "1\nx\n"), number);
    const auto fail = [](auto, auto, auto) { throw decode_error("policy is fail"); };
    auto reader = lines.open("0", nullptr, {.wake = {}, .bad_record = fail, .clock = nullptr});
    batch<int> b;
    CHECK_THROWS_WITH_AS(reader->poll(b, 10), "policy is fail", decode_error);
    CHECK(b.size() == 1);
}

TEST_CASE("reading goes on exactly after every record, good or bad, whatever was read in one poll") {
    const test::temporary_folder folder;
    const std::string path =
        folder.write("numbers", "\xEF\xBB\xBF" "1\r\n2\nx\n\n" + std::string(30, '4') + "\n5\nyy\n7\n8");
    auto lines = parsed_lines<int>(path, number, {.max_line = 10});
    test::driver<int> whole(lines);
    whole.run();
    CHECK(whole.values == std::vector<int>{1, 2, 5, 7, 8});
    CHECK(whole.bad.size() == 4);
    for (std::size_t limit : {1, 2, 5}) {
        test::driver<int> first(lines, nullptr, limit);
        for (bool more = true; more;) {
            const std::string position = first.position();
            test::driver<int> rest(lines, &position, limit);
            rest.run();
            auto values = first.values;
            values.insert(values.end(), rest.values.begin(), rest.values.end());
            CHECK(values == whole.values);
            REQUIRE(first.bad.size() + rest.bad.size() == whole.bad.size());
            for (std::size_t i = 0; i < rest.bad.size(); ++i) {
                const auto& wanted = whole.bad[first.bad.size() + i];
                CHECK(rest.bad[i].where == wanted.where);
                CHECK(rest.bad[i].raw == wanted.raw);
            }
            more = first.poll();
        }
    }
}

TEST_CASE("a file that ends after any byte gives the lines up to there, and no exception") {
    const test::temporary_folder folder;
    const std::string text = "12\r\n345\n\n6x\n7";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        CAPTURE(cut);
        auto lines = parsed_lines<int>(folder.write("numbers", text.substr(0, cut)), number);
        test::driver<int> d(lines);
        d.run();
        std::size_t expected = 0;
        for (std::size_t i = 0; i < cut; ++i) expected += text[i] == '\n';
        if (cut != 0 && text[cut - 1] != '\n') ++expected;
        CHECK(d.values.size() + d.bad.size() == expected);
    }
}

TEST_CASE("a header is read once for a file, again after a restore, and for each connection") {
    const test::temporary_folder folder;
    line_source<based_format> lines(folder.write("f", "\n16\n\nff\n10\nzz\n2a"), {}, {});
    test::driver<int> whole(lines, nullptr, 1);
    whole.run();
    CHECK(whole.values == std::vector<int>{255, 16, 42});
    CHECK(whole.bad.size() == 1);
    test::driver<int> first(lines, nullptr, 1);
    do {
        const std::string position = first.position();
        test::driver<int> rest(lines, &position);
        rest.run();
        CHECK(first.values.size() + rest.values.size() == 3);
        CHECK(std::equal(rest.values.rbegin(), rest.values.rend(), whole.values.rbegin()));
    } while (first.poll());

    test::script s;
    s.data(0, "2\n101\n").data(1, "16\nff\n").data(0, "11\n").end(0).data(0, "8\n17\n").data(1, "10\n").end(0).end(1);
    line_source<based_format> connections(test::scripted_origin(s), {}, {});
    test::driver<int> d(connections);
    d.run();
    CHECK(d.values == std::vector<int>{5, 255, 3, 15, 16});
    CHECK(d.bad.empty());
}

TEST_CASE("below a bad header every line is a bad record, until another connection brings a good one") {
    test::script s;
    s.data(0, "what\n1\n2\n").data(1, "10\n3\n").end(0).data(0, "10\n4\n").end(0).end(1);
    line_source<based_format> lines(test::scripted_origin(s), {}, {});
    test::driver<int> d(lines);
    d.run();
    CHECK(d.values == std::vector<int>{3, 4});
    REQUIRE(d.bad.size() == 3);
    CHECK(d.bad[0].why == "the base is not a number");
    CHECK(d.bad[1].why == "the header of this input is bad, so its lines cannot be read");

    const test::temporary_folder folder;
    line_source<based_format> file(folder.write("f", "what\n1\n2\n3\n"), {}, {});
    test::driver<int> first(file, nullptr, 2);
    first.poll();
    CHECK(first.bad.size() == 2);
    const std::string position = first.position();
    test::driver<int> rest(file, &position);
    rest.run();
    CHECK(rest.values.empty());
    CHECK(rest.bad.size() == 2);
}

TEST_CASE("a header that is too long is bad, also after a restore") {
    const test::temporary_folder folder;
    line_source<based_format> lines(folder.write("f", "0000000000000010\n1\n2\n"), {}, {.max_line = 8});
    test::driver<int> first(lines, nullptr, 2);
    first.poll();
    CHECK(first.bad.size() == 2);
    const std::string position = first.position();
    test::driver<int> rest(lines, &position);
    rest.run();
    CHECK(rest.values.empty());
    CHECK(rest.bad.size() == 1);
}

TEST_CASE("a line limit of zero is a problem of configuration") {
    CHECK(text_lines("f", {.max_line = 0}).problems() == std::vector<std::string>{"text_lines f: max_line is 0"});
}

TEST_CASE("a poll returns after so many lines, bad ones included") {
    const test::temporary_folder folder;
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "x\n";
    auto lines = parsed_lines<int>(folder.write("f", text), number);
    test::driver<int> d(lines, nullptr, 10);
    d.poll();
    CHECK(d.bad.size() == 10);
    d.run();
    CHECK(d.bad.size() == 1000);
}
