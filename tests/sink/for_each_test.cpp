#include "runnel/sink/for_each.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

#include "tests/sink/some_records.hpp"

using namespace runnel;
using test::some_records;

TEST_CASE("for_each calls the function in order, with the time if it wants it") {
    std::string seen;
    auto b = some_records(3, 1);
    for_each([&](const std::string& s) { seen += s + " "; }).bind<std::string>()->open({})->write(b);
    CHECK(b.empty());
    b = some_records(2);
    for_each([&](const std::string& s, timestamp t) { seen += s + "@" + std::to_string(t.ns()) + " "; })
        .bind<std::string>()
        ->open({})
        ->write(b);
    CHECK(seen == "1 2 0@10 1@20 ");
}

TEST_CASE("for_each takes a function that cannot be copied or that counts in itself") {
    auto to = for_each([n = std::make_unique<int>(0)](const std::string&) mutable { ++*n; }).bind<std::string>();
    auto b = some_records(3);
    to->open({})->write(b);
    CHECK(b.empty());
}

TEST_CASE("when the function throws, the cursor stands at the record") {
    auto to = for_each([](const std::string& s) {
                  if (s == "2") throw std::runtime_error("two");
              }).bind<std::string>();
    auto b = some_records(5);
    auto writer = to->open({});
    CHECK_THROWS_WITH(writer->write(b), "two");
    CHECK(b.cursor() == 2);
    CHECK(b.time(b.cursor()) == timestamp(30));
}
