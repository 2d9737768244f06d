#include "runnel/connect/decompress.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include <boost/describe/class.hpp>
#include <random>

#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/follow.hpp"
#include "runnel/connect/lines.hpp"
#include "runnel/core/error.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/scripted_origin.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using texts = std::vector<std::string>;

namespace {

struct point {
    int x = 0, y = 0;
    friend bool operator==(const point&, const point&) = default;
};
BOOST_DESCRIBE_STRUCT(point, (), (x, y))

std::string gzip(const std::string& bytes) {
    z_stream s{};
    REQUIRE(::deflateInit2(&s, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(::deflateBound(&s, bytes.size()), '\0');
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    s.avail_in = static_cast<uInt>(bytes.size());
    s.next_out = reinterpret_cast<Bytef*>(out.data());
    s.avail_out = static_cast<uInt>(out.size());
    REQUIRE(::deflate(&s, Z_FINISH) == Z_STREAM_END);
    out.resize(s.total_out);
    ::deflateEnd(&s);
    return out;
}

std::string zstd(const std::string& bytes, int window_log = 0) {
    ZSTD_CCtx* const c = ::ZSTD_createCCtx();
    ::ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    if (window_log) ::ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    std::string out(::ZSTD_compressBound(bytes.size()), '\0');
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    // The whole at once would do with a window of its own size.
    while (in.pos < in.size) ::ZSTD_compressStream2(c, &to, &in, ZSTD_e_continue);
    while (::ZSTD_compressStream2(c, &to, &in, ZSTD_e_end) != 0) REQUIRE(to.pos < to.size);
    out.resize(to.pos);
    ::ZSTD_freeCCtx(c);
    return out;
}

struct format {
    const char* name;
    std::string (*compress)(const std::string&);
};
const format formats[] = {{"gzip", [](const std::string& s) { return gzip(s); }},
                          {"zstd", [](const std::string& s) { return zstd(s); }}};

/// Lines that do not compress to nothing.
std::string many_lines(int n, texts* lines = nullptr) {
    std::mt19937_64 random(5);
    std::string bytes;
    for (int i = 0; i < n; ++i) {
        const std::string line = std::to_string(i) + " " + std::to_string(random());
        if (lines) lines->push_back(line);
        bytes += line + "\n";
    }
    return bytes;
}

}  // namespace

TEST_CASE("compressed and plain files are told by their first bytes") {
    const test::temporary_folder folder;
    texts wanted;
    const std::string bytes = many_lines(20'000, &wanted);
    folder.write("a", gzip(bytes));
    folder.write("b", zstd(bytes));
    folder.write("c", bytes);
    folder.write("d", "");
    folder.write("e", "x");
    auto lines = text_lines(decompressed(glob_files(folder / "?")));
    REQUIRE(lines.splits() == texts{"a", "b", "c", "d", "e"});
    for (const char* name : {"a", "b", "c", "d", "e"}) {
        CAPTURE(name);
        test::driver<std::string> d(lines, name);
        d.run();
        CHECK(d.bad.empty());
        if (*name < 'd') CHECK(d.values == wanted);
        else CHECK(d.values == (*name == 'd' ? texts{} : texts{"x"}));
    }
}

TEST_CASE("several compressed pieces behind each other are one, and pieces to be skipped are skipped") {
    const test::temporary_folder folder;
    for (const format& f : formats) {
        CAPTURE(f.name);
        const std::string bytes = f.compress("one\ntw") + f.compress("") + f.compress("o\n") + f.compress("three");
        auto lines = text_lines(decompressed(folder.write("f", bytes)));
        test::driver<std::string> d(lines);
        d.run();
        CHECK(d.values == texts{"one", "two", "three"});
        CHECK(d.bad.empty());
    }
    const std::string skipped = std::string("\x5A\x2A\x4D\x18\x03\0\0\0", 8) + "any";
    auto lines = text_lines(decompressed(folder.write("f", skipped + zstd("one\n") + skipped + zstd("two\n"))));
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == texts{"one", "two"});
    CHECK(d.bad.empty());
}

TEST_CASE("a position counts bytes of the contents, and is found again after every record") {
    const test::temporary_folder folder;
    texts wanted;
    const std::string bytes = many_lines(40, &wanted);
    for (const format& f : formats) {
        CAPTURE(f.name);
        auto lines = text_lines(decompressed(folder.write("f", f.compress(bytes))));
        auto plain = text_lines(folder.write("plain", bytes));
        test::driver<std::string> d(lines, nullptr, 1), p(plain, nullptr, 1);
        for (std::size_t n = 0; n < wanted.size();) {
            const std::string position = d.position();
            CHECK(position == p.position());
            test::driver<std::string> rest(lines, &position);
            rest.run();
            CHECK(rest.values == texts(wanted.begin() + static_cast<long>(n), wanted.end()));
            ++n;
            d.read(n);
            p.read(n);
        }
        const std::string end = d.position();
        auto shorter = text_lines(decompressed(folder.write("f", f.compress("one\n"))));
        test::driver<std::string> s(shorter, &end);
        CHECK_THROWS_WITH_AS(s.run(),
                             ("cannot go on reading \"" + folder / "f" + "\" at byte " + std::to_string(bytes.size()) +
                              ": it has only 4 bytes, so it is not the file that was read before")
                                 .c_str(),
                             io_error);
    }
}

TEST_CASE("a header behind much that is skipped is found again after a restore") {
    const test::temporary_folder folder;
    const std::string skipped = std::string("\x5A\x2A\x4D\x18\0\0\x10\0", 8) + std::string(1 << 20, 's');
    auto lines = csv_lines<point>(decompressed(folder.write("f", skipped + zstd("y,x\n1,2\n3,4\n"))));
    test::driver<point> d(lines, nullptr, 2);
    d.read(1);
    const std::string position = d.position();
    test::driver<point> rest(lines, &position);
    rest.run();
    CHECK(rest.values == std::vector<point>{{4, 3}});
    CHECK(rest.bad.empty());
}

TEST_CASE("a file that is cut off anywhere is a bad record that names the byte; all lines before it are read") {
    const test::temporary_folder folder;
    texts wanted;
    const std::string bytes = many_lines(100, &wanted);
    for (const format& f : formats) {
        const std::string whole = f.compress(bytes);
        for (std::size_t size = 5; size < whole.size(); size += 1 + size / 9) {
            CAPTURE(f.name);
            CAPTURE(size);
            auto lines = text_lines(decompressed(folder.write("f", whole.substr(0, size))));
            test::driver<std::string> d(lines);
            d.run();
            REQUIRE(d.values.size() <= wanted.size());
            CHECK(std::equal(d.values.begin(), d.values.end(), wanted.begin()));
            REQUIRE(d.bad.size() == 1);
            CHECK(d.bad[0].why == "the " + std::string(f.name) + " data is cut off at byte " + std::to_string(size) +
                                      " of the compressed file");
            CHECK(d.bad[0].where.find(folder / "f:" + std::to_string(d.values.size() + 1) + " byte ") == 0);
        }
    }
}

TEST_CASE("damage is a bad record that says where and what, and no line behind it is read") {
    const test::temporary_folder folder;
    const std::string bytes = many_lines(5000);
    for (const format& f : formats) {
        std::mt19937 random(3);
        const std::string whole = f.compress(bytes);
        for (int round = 0; round < 40; ++round) {
            std::string damaged = whole;
            const std::size_t at = 12 + random() % (whole.size() - 12);
            damaged[at] = static_cast<char>(damaged[at] ^ (1 + random() % 255));
            CAPTURE(f.name);
            CAPTURE(at);
            auto lines = text_lines(decompressed(folder.write("f", damaged)));
            test::driver<std::string> d(lines, nullptr, 1000);
            d.run();
            REQUIRE(!d.bad.empty());
            const std::string& why = d.bad.back().why;
            CHECK(why.find("the " + std::string(f.name) + " data is ") == 0);
            CHECK(why.find(" of the compressed file") != why.npos);
        }
    }
    auto lines = text_lines(decompressed(folder.write("f", gzip("one\n") + "something else")));
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == texts{"one"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].why.find("the gzip data is damaged at or before byte ") == 0);
    CHECK(d.bad[0].why.find(": incorrect header check") != std::string::npos);
}

TEST_CASE("what comes out of a small file without end needs no memory") {
    const test::temporary_folder folder;
    const auto peak_kb = [] {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss;
    };
    for (const format& f : formats) {
        CAPTURE(f.name);
        // 16 MB without a line end, eight times behind each other.
        std::string bomb = f.compress(std::string(16 << 20, '0'));
        std::string bombs;
        for (int i = 0; i < 8; ++i) bombs += bomb;
        bombs += f.compress("\nlast\n");
        const std::string path = folder.write("f", bombs);
        auto lines = text_lines(decompressed(path), {.max_line = 1000});
        const auto before = peak_kb();
        test::driver<std::string> d(lines);
        d.run();
        CHECK(peak_kb() - before < 20'000);
        REQUIRE(d.bad.size() == 1);
        CHECK(d.bad[0].why.find("longer than the limit of 1000 bytes") != std::string::npos);
        CHECK(d.bad[0].raw.size() == 1000);
        CHECK(d.values == texts{"last"});
    }
}

TEST_CASE("zstd data that needs a larger window than allowed is refused") {
    const test::temporary_folder folder;
    const std::string path = folder.write("f", zstd("one\n", 20));
    auto lines = text_lines(decompressed(path, {.max_window = 64 * 1024}));
    test::driver<std::string> d(lines);
    d.run();
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].why.find("Frame requires too much memory for decoding") != std::string::npos);
    CHECK(decompressed(path, {.max_window = 0}).problems().size() == 1);
}

TEST_CASE("a compressed file that is read as text is refused with the way to read it") {
    const test::temporary_folder folder;
    for (const format& f : formats) {
        const std::string path = folder.write("f", f.compress("one\n"));
        for (int way = 0; way < 2; ++way) {
            auto lines = text_lines(way == 0 ? byte_input(path) : byte_input(follow_file(path)));
            test::driver<std::string> d(lines);
            CHECK_THROWS_WITH_AS(d.run(),
                                 ("cannot read \"" + path + "\" as text: it is compressed with " + f.name +
                                  ". Read it as decompressed(...)")
                                     .c_str(),
                                 io_error);
        }
        // A connection that sends such bytes ends no job.
        auto peer = text_lines(test::scripted_origin(test::script().data(0, f.compress("one\n") + "\n").end(0)));
        test::driver<std::string> d(peer);
        d.run();
        CHECK(!d.bad.empty());
    }
}

TEST_CASE("what arrives through a pipe in small pieces is decompressed as it comes") {
    const std::string whole = zstd("one\ntwo\n");
    test::script s;
    for (const char c : whole) s.data(0, std::string(1, c)).wait();
    s.end(0);
    auto stream = detail::decompressing_stream(std::make_unique<test::scripted_stream>(s), 0, {});
    std::string got;
    char buffer[3];
    for (bool more = true; more;) {
        const byte_chunk c = stream->read(buffer, sizeof buffer);
        if (c.what == byte_chunk::kind::data) got.append(buffer, c.size);
        more = c.what != byte_chunk::kind::finished;
    }
    CHECK(got == "one\ntwo\n");
}
