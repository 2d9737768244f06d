#include "runnel/connect/csv_lines.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <string>

#include "tests/connect/drive.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

struct trade {
    std::string symbol;
    double price = 0;
    int amount = 0;
    friend bool operator==(const trade&, const trade&) = default;
};
BOOST_DESCRIBE_STRUCT(trade, (), (symbol, price, amount))

}  // namespace

using namespace runnel;

TEST_CASE("columns are found by the header's names, also after a restore at every record") {
    const test::temporary_folder folder;
    const std::string path =
        folder.write("trades.csv", "amount,venue,symbol,price\r\n3,X,\"a,b\",1.5\r\n\r\n4,Y,c,2\r\n5,Z,d,3");
    const std::vector<trade> wanted{{"a,b", 1.5, 3}, {"c", 2, 4}, {"d", 3, 5}};
    auto lines = csv_lines<trade>(path);
    test::driver<trade> d(lines, nullptr, 1);
    do {
        const std::string position = d.position();
        test::driver<trade> rest(lines, &position);
        rest.run();
        CHECK(rest.values == std::vector<trade>(wanted.begin() + static_cast<long>(d.values.size()), wanted.end()));
        CHECK(rest.bad.empty());
    } while (d.poll());
    CHECK(d.values == wanted);
    CHECK(d.bad.empty());
}

TEST_CASE("without a header columns are the members in order") {
    const test::temporary_folder folder;
    auto lines = csv_lines<trade>(folder.write("f", "a;1;2\nb;3;4\n"), {.header = false, .delimiter = ';'});
    test::driver<trade> d(lines);
    d.run();
    CHECK(d.values == std::vector<trade>{{"a", 1, 2}, {"b", 3, 4}});
}

TEST_CASE("every kind of bad CSV line is one bad record between good ones, with file, line, byte and cause") {
    const test::temporary_folder folder;
    const std::pair<std::string, std::string> table[] = {
        {"too few fields", "a,1"},      {"too many fields", "a,1,2,3"},   {"open quote", "\"a,1,2"},
        {"wrong type", "a,x,2"},        {"out of range", "a,1,99999999999"}, {"fraction", "a,1,2.5"},
        {"empty field", "a,,2"},        {"not UTF-8", "\xFF,1,2"},        {"too long", std::string(100, 'a') + ",1,2"},
    };
    for (const auto& entry : table) {
        CAPTURE(entry.first);
        const std::string& line = entry.second;
        const std::string path = folder.write("trades.csv", "symbol,price,amount\na,1,2\n" + line + "\na,1,2\n");
        auto lines = csv_lines<trade>(path, {.max_line = 50});
        test::driver<trade> d(lines);
        d.run();
        CHECK(d.values == std::vector<trade>(2, {"a", 1, 2}));
        REQUIRE(d.bad.size() == 1);
        CHECK(d.bad[0].where == path + ":3 byte 26");
        CHECK(d.bad[0].why != "");
    }
}

TEST_CASE("a header without a needed column is a bad record, and so is what follows") {
    const test::temporary_folder folder;
    auto lines = csv_lines<trade>(folder.write("f", "symbol,price\na,1\n"));
    test::driver<trade> d(lines);
    d.run();
    CHECK(d.values.empty());
    REQUIRE(d.bad.size() == 2);
    CHECK(d.bad[0].why.find("amount") != std::string::npos);
}
