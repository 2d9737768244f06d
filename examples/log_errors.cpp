// What went on in a log, minute by minute: entries, entries that tell of trouble, and the busiest sources.
//   log_errors [FILE]      a log of Debian's package manager; /var/log/dpkg.log if none is given
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;

struct entry {
    std::string source;
    bool trouble = false;
    runnel::timestamp at;
};

// "2026-11-21 11:33:10 status half-installed libfoo:amd64 1.0": the package is the source, half-done is trouble.
std::optional<entry> parse(std::string_view line) {
    if (line.size() < 20) throw runnel::decode_error("the line has no date and time");
    std::string date(line.substr(0, 19));
    date[10] = 'T';
    const auto at = runnel::parse_timestamp(date + "Z", runnel::time_unit::seconds);
    if (!at) throw runnel::decode_error("the line does not begin with a date and time");
    std::vector<std::string_view> words;
    for (std::size_t from = 20; from < line.size();) {
        const std::size_t to = std::min(line.find(' ', from), line.size());
        words.push_back(line.substr(from, to - from));
        from = to + 1;
    }
    if (words.size() < 3 || words[0] == "startup") return std::nullopt;  // "startup archives unpack" has no source
    const bool status = words[0] == "status";
    return entry{std::string(words[status ? 2 : 1]), status && words[1].starts_with("half-"), *at};
}

struct minute {
    std::map<std::string, int> sources;
    int entries = 0, trouble = 0;
};

// An aggregate of one's own: four functions.
struct minute_summary {
    minute create() const { return {}; }
    void add(minute& m, const entry& e) const {
        ++m.sources[e.source];
        ++m.entries;
        m.trouble += e.trouble;
    }
    void merge(minute& m, const minute& later) const {
        for (const auto& [source, n] : later.sources) m.sources[source] += n;
        m.entries += later.entries;
        m.trouble += later.trouble;
    }
    minute result(const minute& m) const { return m; }
};

int main(int argc, char** argv) try {
    runnel::pipeline p{"log"};
    p.from(runnel::parsed_lines<entry>(argc > 1 ? argv[1] : "/var/log/dpkg.log", parse))
        .event_time(&entry::at, runnel::bounded_out_of_orderness(1min))
        .on_error(runnel::on_error::skip)
        .key_by([](const entry&) { return 0; })
        .window(runnel::tumbling(1min).drop_late())
        .aggregate(minute_summary())
        .to(runnel::for_each([](const runnel::windowed<int, minute>& r) {
            std::multimap<int, std::string, std::greater<>> top;
            for (const auto& [source, n] : r.value.sources) top.emplace(n, source);
            std::printf("%s  %5d entries  %4d trouble ", to_string(r.start).c_str(), r.value.entries, r.value.trouble);
            for (int shown = 0; const auto& [n, source] : top)
                if (++shown <= 3) std::printf("  %s %d", source.c_str(), n);
            std::printf("\n");
        }));
    std::move(p).start().wait();
} catch (const std::exception& e) {
    return std::fprintf(stderr, "log_errors: %s\n", e.what()), 1;
}
