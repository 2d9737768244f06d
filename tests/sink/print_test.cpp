#include "runnel/sink/print.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <sstream>
#include <stdexcept>

#include "runnel/core/error.hpp"
#include "tests/sink/some_records.hpp"

using namespace runnel;
using test::some_records;

namespace {

/// A value whose text is refused if it is negative.
struct picky {
    int n = 0;
    friend std::ostream& operator<<(std::ostream& out, const picky& p) {
        out << "n=";
        if (p.n < 0) throw std::runtime_error("negative");
        return out << p.n;
    }
};

struct broken_buffer : std::streambuf {};

}  // namespace

TEST_CASE("print writes a line for each record when it is flushed") {
    std::ostringstream out;
    auto to = print(out).bind<std::string>();
    auto writer = to->open({});
    auto b = some_records(3, 1);
    writer->write(b);
    CHECK(b.empty());
    CHECK(out.str().empty());
    writer->flush();
    CHECK(out.str() == "1\n2\n");
    b = some_records(1);
    writer->write(b);
    writer->finish();
    writer->finish();
    CHECK(out.str() == "1\n2\n0\n");
}

TEST_CASE("print goes to a FILE too, and does not keep much text") {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file);
    auto writer = print(file).bind<std::string>()->open({});
    batch<std::string> b;
    for (int i = 0; i < 100; ++i) b.append(std::string(1000, 'x'), timestamp());
    writer->write(b);
    CHECK(std::ftell(file) >= 64 * 1024);
    writer->finish();
    CHECK(std::ftell(file) == 100 * 1001);
    std::fclose(file);
}

TEST_CASE("when a value cannot be printed, the cursor stands at it and the lines before are whole") {
    std::ostringstream out;
    auto writer = print(out).bind<picky>()->open({});
    batch<picky> b;
    for (int n : {1, 2, -1, 4}) b.append({n}, timestamp());
    CHECK_THROWS_WITH(writer->write(b), "negative");
    CHECK(b.cursor() == 2);
    writer->flush();
    CHECK(out.str() == "n=1\nn=2\n");
}

TEST_CASE("printing that fails is an error with the name and the system's reason") {
    std::FILE* const full = std::fopen("/dev/full", "w");
    if (full) {
        auto writer = print(full).bind<std::string>()->open({});
        auto b = some_records(1);
        writer->write(b);
        try {
            writer->flush();
            FAIL("no error");
        } catch (const io_error& e) {
            CHECK(e.code() == ENOSPC);
            CHECK(std::string(e.what()) == "cannot print to \"a file\": No space left on device");
        }
        std::fclose(full);
    }
    broken_buffer nothing;
    std::ostream broken(&nothing);
    auto writer = print(broken).bind<std::string>()->open({});
    auto b = some_records(1);
    writer->write(b);
    CHECK_THROWS_AS(writer->flush(), io_error);
}
