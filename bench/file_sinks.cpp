// Lines written to a file, as JSON and as text, against a loop by hand that fills a buffer of 64 KB and writes it.
// Both sides make the records themselves, write to the folder for temporary files, and put the file on stable storage
// at the end. The files must be equal.
#include <fcntl.h>
#include <unistd.h>

#include <boost/describe/class.hpp>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "bench/folder.hpp"
#include "bench/support.hpp"
#include "runnel/connect/lines_sink.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/generator.hpp"

namespace {

struct reading {
    std::uint64_t device;
    std::int64_t value;
    std::string unit;
};
BOOST_DESCRIBE_STRUCT(reading, (), (device, value, unit))

reading make(std::uint64_t i) {
    return {bench::splitmix64(i) % 100'000, static_cast<std::int64_t>(i & 1023), i % 2 == 0 ? "kWh" : "W"};
}

/// A file that is written through a buffer.
class buffered {
public:
    explicit buffered(const std::string& path) : file_(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644)) {
        if (file_ < 0) bench::fail("cannot open " + path);
        buffer_.reserve(capacity + 1024);
    }
    buffered(const buffered&) = delete;
    buffered& operator=(const buffered&) = delete;
    ~buffered() {
        write();
        ::fsync(file_);
        ::close(file_);
    }
    void text(std::string_view s) { buffer_ += s; }
    void number(auto n) {
        char digits[24];
        buffer_.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
    }
    void end_line() {
        buffer_ += '\n';
        if (buffer_.size() >= capacity) write();
    }

private:
    static constexpr std::size_t capacity = 64 * 1024;
    void write() {
        if (::write(file_, buffer_.data(), buffer_.size()) != static_cast<ssize_t>(buffer_.size()))
            bench::fail("cannot write");
        buffer_.clear();
    }
    int file_;
    std::string buffer_;
};

std::uint64_t hash_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    return std::hash<std::string>()(bytes);
}

}  // namespace

int main() {
    constexpr std::uint64_t n = 2'000'000;
    const bench::folder in;
    // The comparison of the files is not timed: both sides give the number of records, and the files are compared then.
    const auto compare = [&](const std::string& name, auto ours, auto by_hand) {
        bench::ratio(name, 0.4, 0.7, n, [&] { return ours(), n; },
                     {{"by hand", [&] { return by_hand(), n; }, {}}}, 5);
        if (hash_of(in.path + "/ours") != hash_of(in.path + "/hand")) bench::fail(name + ": the files differ");
    };
    compare(
        "json_file_sink",
        [&] {
            runnel::pipeline p;
            p.from(runnel::generate(n, make)).to(runnel::json_lines_to(in.path + "/ours"));
            std::move(p).start().wait();
        },
        [&] {
            buffered out(in.path + "/hand");
            for (std::uint64_t i = 0; i < n; ++i) {
                const reading r = make(i);
                out.text("{\"device\":");
                out.number(r.device);
                out.text(",\"value\":");
                out.number(r.value);
                out.text(",\"unit\":\"");
                out.text(r.unit);
                out.text("\"}");
                out.end_line();
            }
        });
    compare(
        "text_file_sink",
        [&] {
            runnel::pipeline p;
            p.from(runnel::generate(n, [](std::uint64_t i) { return std::to_string(bench::splitmix64(i)); }))
                .to(runnel::text_lines_to(in.path + "/ours"));
            std::move(p).start().wait();
        },
        [&] {
            buffered out(in.path + "/hand");
            for (std::uint64_t i = 0; i < n; ++i) {
                const std::string line = std::to_string(bench::splitmix64(i));
                out.text(line);
                out.end_line();
            }
        });
}
