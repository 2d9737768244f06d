// JSON lines from a file, counted per user in 10 s windows; against a loop by hand around the same decoder, which reads
// 64 KB at a time, and once line by line, once block by block as the source does. No floor is set for this elsewhere;
// that of the keyed window is taken.
#include <fcntl.h>
#include <unistd.h>

#include <boost/describe.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "bench/machine.hpp"
#include "bench/support.hpp"
#include "runnel/codec/describe.hpp"
#include "runnel/codec/json.hpp"
#include "runnel/connect/files.hpp"
#include "runnel/connect/json_lines.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace std::chrono_literals;

struct visit {
    std::string user, page;
    runnel::timestamp at;
};
BOOST_DESCRIBE_STRUCT(visit, (), (user, page, at))

constexpr std::int64_t start_ms = 1'700'000'000'000;
constexpr std::int64_t window_ms = 10'000;

/// A file of `n` lines, gone with the object.
class lines_file {
public:
    explicit lines_file(std::size_t n) {
        const int fd = mkstemp(path_.data());
        if (fd < 0) bench::fail("no temporary file " + path_);
        std::FILE* f = fdopen(fd, "w");
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint64_t x = bench::splitmix64(i);
            std::fprintf(f, "{\"user\":\"u%llu\",\"page\":\"/%c\",\"at\":%lld}\n",
                         static_cast<unsigned long long>(x % 10'000), static_cast<char>('a' + (x >> 32) % 26),
                         static_cast<long long>(start_ms + static_cast<std::int64_t>(i / 20)));
        }
        if (std::fclose(f) != 0) bench::fail("cannot write " + path_);
    }
    lines_file(const lines_file&) = delete;
    lines_file& operator=(const lines_file&) = delete;
    ~lines_file() { unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

private:
    std::string path_ = (std::filesystem::temp_directory_path() / "runnel-bench-XXXXXX").string();
};

std::uint64_t mix(const std::string& user, std::int64_t end_ms, std::uint64_t count) {
    return bench::h(std::hash<std::string>()(user), static_cast<std::uint64_t>(end_ms), count, 0);
}

std::uint64_t with_runnel(const std::string& path) {
    std::uint64_t sum = 0;
    runnel::pipeline p{"json"};
    p.from(runnel::json_lines<visit>(path))
        .event_time(&visit::at, runnel::monotonous())
        .key_by(&visit::user)
        .window(runnel::tumbling(10s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::for_each([&sum](const auto& r) { sum += mix(r.key, r.end.ns() / 1'000'000, r.value); }));
    std::move(p).start().wait();
    return sum;
}

std::uint64_t by_hand(const std::string& path, bool in_blocks) {
    runnel::json_decoder<visit> decoder;
    boost::unordered_flat_map<std::string, std::uint64_t> counts;
    std::uint64_t sum = 0;
    std::int64_t end = start_ms / window_ms * window_ms + window_ms;
    auto close = [&] {
        for (const auto& [user, n] : counts) sum += mix(user, end, n);
        counts.clear();
        end += window_ms;
    };
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0) bench::fail("cannot read " + path);
    std::string buffer(64 * 1024, '\0');
    std::size_t held = 0;  // bytes of a line whose end has not been read yet
    visit v;
    for (;;) {
        const ssize_t got = read(fd, buffer.data() + held, buffer.size() - held);
        if (got <= 0) break;
        const std::string_view all(buffer.data(), held + static_cast<std::size_t>(got));
        const std::string_view block = all.substr(0, all.rfind('\n') + 1);
        if (in_blocks && !block.empty()) decoder.prepare(block);
        for (std::size_t at = 0; at < block.size();) {
            const std::size_t length = block.find('\n', at) - at;
            const std::string_view line = block.substr(at, length);
            at += length + 1;
            if (in_blocks) decoder.decode_prepared(line, v);
            else decoder.decode(line, v);
            while (v.at.ns() / 1'000'000 >= end) close();
            ++counts[v.user];
        }
        held = all.size() - block.size();
        std::memmove(buffer.data(), block.data() + block.size(), held);
    }
    ::close(fd);
    close();
    return sum;
}

}  // namespace

int main() {
    constexpr std::size_t n = 1'000'000;
    const lines_file file(n);
    bench::ratio("json_window", 0.4, 0.7, n, [&] { return with_runnel(file.path()); },
                 {{"loop", [&] { return by_hand(file.path(), false); }, {}},
                  {"loop over blocks", [&] { return by_hand(file.path(), true); }, {}}},
                 5);
}
