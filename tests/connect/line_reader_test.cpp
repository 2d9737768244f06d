#include "runnel/connect/line_reader.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/connect/scripted_origin.hpp"

using runnel::detail::line_place;
using runnel::detail::line_reader;
using test::script;
using event = line_reader::event;

namespace {

struct seen {
    std::string text;
    std::string where;
    std::string why;  // empty for a good line
    friend bool operator==(const seen&, const seen&) = default;
};
std::ostream& operator<<(std::ostream& out, const seen& s) {
    return out << "{" << s.text << " | " << s.where << " | " << s.why << "}";
}

std::vector<seen> read_all(script s, std::size_t max_line, bool may_be_open, line_place start = {},
                           std::size_t block = line_reader::block_size) {
    line_reader lines(std::make_unique<test::scripted_stream>(std::move(s)), max_line, may_be_open, start, block);
    std::vector<seen> all;
    for (;;) {
        std::string_view line;
        switch (lines.next(line)) {
            case event::line: all.push_back({std::string(line), lines.where(), ""}); break;
            case event::bad: all.push_back({std::string(line), lines.where(), lines.why()}); break;
            case event::pause: lines.start_run(); break;
            case event::wait:
            case event::ended: break;
            case event::finished: return all;
        }
    }
}

/// What one peer's bytes should give: cut at each "\n", byte by byte.
std::vector<seen> oracle(const std::string& name, const std::string& bytes, std::size_t max_line, bool may_be_open,
                         const std::string& reason = "") {
    std::vector<seen> all;
    std::size_t number = 0;
    std::size_t start = 0;
    const std::string too_long =
        "the line is longer than the limit of " + std::to_string(max_line) + " bytes. Raise max_line if it is wanted";
    auto give = [&](std::size_t end, std::string why) {
        std::string text = bytes.substr(start, end - start);
        ++number;
        if (number == 1 && text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);
        if (!text.empty() && text.back() == '\r') text.pop_back();
        if (why.empty() && text.size() > max_line) why = too_long;
        text = text.substr(0, max_line);
        all.push_back({text, name + ":" + std::to_string(number) + " byte " + std::to_string(start), why});
        start = end + 1;
    };
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] == '\n') give(i, "");
    if (!reason.empty()) give(bytes.size(), reason);
    else if (start < bytes.size())
        give(bytes.size(), may_be_open ? "" : "cut off: the connection ended within the line");
    return all;
}

std::string random_bytes(std::mt19937& random, std::size_t n) {
    static const std::string alphabet = "abc\r\n\n";
    std::string bytes;
    if (random() % 4 == 0) bytes = "\xEF\xBB\xBF";
    for (std::size_t i = 0; i < n; ++i) bytes += alphabet[random() % alphabet.size()];
    return bytes;
}

}  // namespace

TEST_CASE("lines end with LF or CRLF, and blank ones are lines") {
    const auto all = read_all(script().data(0, "a\nb\r\n\n\r\nc\rd\r\r\n").end(0), 100, true);
    REQUIRE(all.size() == 5);
    CHECK(all[0] == seen{"a", "p0:1 byte 0", ""});
    CHECK(all[1] == seen{"b", "p0:2 byte 2", ""});
    CHECK(all[2] == seen{"", "p0:3 byte 5", ""});
    CHECK(all[3] == seen{"", "p0:4 byte 6", ""});
    CHECK(all[4] == seen{"c\rd\r", "p0:5 byte 8", ""});
}

TEST_CASE("the last line of a file needs no line break, that of a connection does") {
    CHECK(read_all(script().data(0, "a\nb").end(0), 100, true)[1] == seen{"b", "p0:2 byte 2", ""});
    CHECK(read_all(script().data(0, "a\nb").end(0), 100, false)[1] ==
          seen{"b", "p0:2 byte 2", "cut off: the connection ended within the line"});
    CHECK(read_all(script().data(0, "a\n").end(0), 100, true).size() == 1);
    CHECK(read_all(script().end(0), 100, true).empty());
}

TEST_CASE("a lost connection is told with its reason, also between two lines") {
    CHECK(read_all(script().data(0, "a\nb").end(0, "lost"), 100, false)[1] == seen{"b", "p0:2 byte 2", "lost"});
    CHECK(read_all(script().data(0, "a\n").end(0, "lost"), 100, false)[1] == seen{"", "p0:2 byte 2", "lost"});
}

TEST_CASE("a line of max_line bytes is good, one more is not, with either line end, cut anywhere") {
    for (const std::string end : {"\n", "\r\n"})
        for (const std::string mark : {"", "\xEF\xBB\xBF"})
            for (std::size_t size = 4; size <= 12; ++size) {
                const std::string bytes = mark + std::string(size, 'x') + end + "y" + end;
                for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
                    CAPTURE(size);
                    CAPTURE(cut);
                    const auto all =
                        read_all(script().data(0, bytes.substr(0, cut)).data(0, bytes.substr(cut)).end(0), 6, true);
                    REQUIRE(all.size() == 2);
                    CHECK(all[0].why.empty() == (size <= 6));
                    CHECK(all[0].text == std::string(std::min<std::size_t>(size, 6), 'x'));
                    CHECK(all[1].text == "y");
                }
            }
}

TEST_CASE("lines are the same wherever the reads cut them, and those of several peers never mix") {
    for (unsigned seed = 0; seed < 3000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const std::size_t peers = 1 + random() % 3;
        const std::size_t max_line = 1 + random() % 8;
        const bool may_be_open = random() % 2;
        const std::size_t block = 1 + random() % 20;
        std::map<std::string, std::vector<seen>> wanted, found;
        script s;
        std::vector<std::string> rest(peers), reason(peers);
        for (std::size_t p = 0; p < peers; ++p) {
            rest[p] = random_bytes(random, random() % 60);
            if (random() % 4 == 0) reason[p] = "lost";
            const std::string name = "p" + std::to_string(p);
            wanted[name] = oracle(name, rest[p], max_line, may_be_open, reason[p]);
        }
        for (std::size_t open = peers; open != 0;) {
            const std::size_t p = random() % peers;
            if (rest[p] == "closed") continue;
            if (rest[p].empty()) {
                s.end(p, reason[p]);
                rest[p] = "closed";
                --open;
                continue;
            }
            const std::size_t n = 1 + random() % rest[p].size();
            s.data(p, rest[p].substr(0, n));
            rest[p].erase(0, n);
            if (random() % 8 == 0) s.wait();
        }
        for (const std::string name : {"p0", "p1", "p2"}) found[name], wanted[name];
        for (seen& line : read_all(s, max_line, may_be_open, {}, block))
            found[line.where.substr(0, 2)].push_back(std::move(line));
        REQUIRE(found == wanted);
    }
}

TEST_CASE("a peer's number may come again, and its lines start anew") {
    script s;
    s.data(0, "a\nb").data(1, "x\n").end(0).data(0, "\xEF\xBB\xBF" "c\n").data(1, "y\n").end(0).end(1);
    const auto all = read_all(s, 100, false);
    REQUIRE(all.size() == 5);
    CHECK(all[0] == seen{"a", "p0:1 byte 0", ""});
    CHECK(all[1] == seen{"x", "p1:1 byte 0", ""});
    CHECK(all[2].why != "");
    CHECK(all[3] == seen{"c", "p0:1 byte 0", ""});
    CHECK(all[4] == seen{"y", "p1:2 byte 2", ""});
}

TEST_CASE("the position after each line is where the next one starts") {
    for (unsigned seed = 0; seed < 500; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const std::string bytes = random_bytes(random, 80);
        const std::size_t max_line = 2 + random() % 8;
        const std::size_t block = 1 + random() % 30;
        const auto whole = read_all(script().data(0, bytes).end(0), max_line, true, {}, block);
        auto stream = std::make_unique<test::scripted_stream>(script().data(0, bytes).end(0));
        line_reader lines(std::move(stream), max_line, true, {}, block);
        for (std::size_t given = 0; given <= whole.size(); ++given) {
            const line_place at = lines.position();
            CHECK(at.line == given);
            const auto rest = read_all(script().data(0, bytes.substr(at.offset)).end(0), max_line, true, at, block);
            CHECK(rest == std::vector<seen>(whole.begin() + static_cast<long>(given), whole.end()));
            std::string_view line;
            event e;
            while ((e = lines.next(line)) != event::line && e != event::bad && e != event::finished) lines.start_run();
        }
    }
}

TEST_CASE("an endless line pauses the reader and costs no memory") {
    script s;
    for (int i = 0; i < 200; ++i) s.data(0, std::string(1000, 'x'));
    s.data(0, "\nok\n").end(0);
    line_reader lines(std::make_unique<test::scripted_stream>(s), 10, true);
    std::string_view line;
    int pauses = 0;
    while (lines.next(line) == event::pause) {
        ++pauses;
        CHECK(lines.position().offset == 0);
        lines.start_run();
    }
    CHECK(pauses > 10);
    CHECK(line == "xxxxxxxxxx");
    CHECK(lines.next(line) == event::line);
    CHECK(line == "ok");
    CHECK(lines.where() == "p0:2 byte 200001");
}
