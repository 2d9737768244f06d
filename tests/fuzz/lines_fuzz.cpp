// Lines cut out of a byte stream in pieces of any size, from two peers, must be those of a plain split, and decode to
// the same values. Input: limit of a line, size of the reads, sizes of the pieces, then the bytes.

#include <boost/describe/class.hpp>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/json_lines.hpp"
#include "runnel/connect/line_reader.hpp"
#include "tests/connect/scripted_origin.hpp"

namespace {

struct row {
    std::string a;
    std::int64_t b = 0;
    runnel::timestamp c;
    friend bool operator==(const row&, const row&) = default;
};
BOOST_DESCRIBE_STRUCT(row, (), (a, b, c))

void require(bool holds, const char* what) {
    if (holds) return;
    std::cerr << "violated: " << what << "\n";
    std::abort();
}

struct cut_line {
    std::string text;
    bool good;
    friend bool operator==(const cut_line&, const cut_line&) = default;
};

std::vector<cut_line> plain_split(const std::string& bytes, std::size_t max_line) {
    std::vector<cut_line> lines;
    for (std::size_t start = 0; start < bytes.size();) {
        const std::size_t stop = bytes.find('\n', start);
        std::string text = bytes.substr(start, stop == bytes.npos ? bytes.npos : stop - start);
        if (start == 0 && text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);
        if (!text.empty() && text.back() == '\r') text.pop_back();
        lines.push_back({text.substr(0, max_line), text.size() <= max_line && stop != bytes.npos});
        start = stop == bytes.npos ? bytes.size() : stop + 1;
    }
    return lines;
}

template <class Source>
std::vector<row> read_all(Source from) {
    auto reader = from.open("0", nullptr, {.wake = [] {}, .bad_record = [](auto, auto, auto) {}, .clock = nullptr});
    runnel::batch<row> b;
    while (reader->poll(b, 5).what != runnel::poll_result::kind::finished) {}
    return std::vector<row>(b.values(), b.values() + b.size());
}

template <class Decode>
std::vector<row> decode_all(const std::vector<cut_line>& lines, Decode decode) {
    std::vector<row> rows;
    for (const cut_line& line : lines) {
        if (!line.good || line.text.empty()) continue;
        row r;
        try {
            if (decode(line.text, r)) rows.push_back(r);
        } catch (const runnel::decode_error&) {
        }
    }
    return rows;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 8) return 0;
    const std::size_t max_line = 1 + data[0] % 64;
    const std::size_t block = 1 + data[1];
    const std::uint8_t* const pieces = data + 2;
    const std::string bytes(reinterpret_cast<const char*>(data) + 8, size - 8);

    // Peer 0 sends the bytes; peer 1 gets a line in edgewise now and then.
    test::script s, alone;
    std::string other;
    std::size_t at = 0;
    for (std::size_t i = 0; at < bytes.size(); ++i) {
        const std::size_t n = 1 + pieces[i % 6] % 32;
        s.data(0, bytes.substr(at, n));
        alone.data(0, bytes.substr(at, n));
        at += n;
        if (pieces[i % 6] & 64) s.data(1, "y"), other += "y";
        if (pieces[i % 6] & 128) s.data(1, "\n"), other += "\n";
    }
    s.end(0).end(1);
    alone.end(0);
    const std::vector<cut_line> wanted[2] = {plain_split(bytes, max_line), plain_split(other, max_line)};

    runnel::detail::line_reader lines(std::make_unique<test::scripted_stream>(s), max_line, false, {}, block);
    std::vector<cut_line> found[2];
    for (bool more = true; more;) {
        using event = runnel::detail::line_reader::event;
        std::string_view line;
        switch (const event e = lines.next(line)) {
            case event::line:
            case event::bad: found[lines.peer()].push_back({std::string(line), e == event::line}); break;
            case event::pause: lines.start_run(); break;
            case event::finished: more = false; break;
            case event::wait:
            case event::ended: break;
        }
    }
    require(found[0] == wanted[0] && found[1] == wanted[1], "lines are those of a plain split");

    runnel::json_decoder<row> json;
    require(read_all(runnel::json_lines<row>(test::scripted_origin(alone), {.max_line = max_line})) ==
                decode_all(wanted[0],
                           [&](const std::string& line, row& r) {
                               if (line.find_first_not_of(" \t") == line.npos) return false;
                               json.decode(line, r);
                               return true;
                           }),
            "JSON lines are decoded like single texts");
    runnel::csv_decoder<row> csv;
    require(read_all(runnel::csv_lines<row>(test::scripted_origin(alone), {.max_line = max_line, .header = false})) ==
                decode_all(wanted[0],
                           [&](const std::string& line, row& r) {
                               csv.decode(line, r);
                               return true;
                           }),
            "CSV lines are decoded like single texts");
    return 0;
}
