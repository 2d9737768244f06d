#include "runnel/source/collection.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace runnel;

namespace {

/// All records of one split, read in polls of `limit`, from `position` on.
template <class T>
std::vector<T> read_all(source<T>& from, const std::string& split, std::size_t limit,
                        const std::string* position = nullptr) {
    auto reader = from.open(split, position, {});
    batch<T> b;
    for (std::size_t before = 0;; before = b.size()) {
        const poll_result r = reader->poll(b, limit);
        CHECK(b.size() - before <= limit);
        if (r.what == poll_result::kind::finished) break;
        CHECK(r.what == poll_result::kind::more);
    }
    return std::vector<T>(b.values(), b.values() + b.size());
}

}  // namespace

TEST_CASE("a collection is read in order, whatever the size of the polls") {
    auto numbers = collection({3, 1, 4, 1, 5, 9, 2, 6});
    CHECK(numbers.problems().empty());
    CHECK(numbers.splits() == std::vector<std::string>{"0"});
    for (std::size_t limit : {1, 3, 8, 100})
        CHECK(read_all(numbers, "0", limit) == std::vector<int>{3, 1, 4, 1, 5, 9, 2, 6});
    auto words = collection(std::vector<std::string>{"a", "b"});
    CHECK(read_all(words, "0", 1) == std::vector<std::string>{"a", "b"});
    auto nothing = collection(std::vector<int>{});
    CHECK(read_all(nothing, "0", 1).empty());
}

TEST_CASE("splits are contiguous, complete and differ in size by at most one") {
    for (std::size_t size : {0, 1, 2, 7, 100})
        for (std::size_t splits : {1, 2, 3, 7, 8}) {
            CAPTURE(size);
            CAPTURE(splits);
            auto elements = std::make_shared<std::vector<int>>();
            for (std::size_t i = 0; i < size; ++i) elements->push_back(static_cast<int>(i));
            auto s = collection(elements, splits);
            std::vector<int> all;
            for (const std::string& id : s.splits()) {
                const std::vector<int> part = read_all(s, id, 4);
                CHECK(part.size() >= size / splits);
                CHECK(part.size() <= size / splits + 1);
                all.insert(all.end(), part.begin(), part.end());
            }
            CHECK(s.splits().size() == splits);
            CHECK(all == *elements);
        }
}

TEST_CASE("a collection goes on exactly after every saved position") {
    auto s = collection({0, 1, 2, 3, 4, 5, 6}, 2);
    for (const std::string& id : s.splits()) {
        const std::vector<int> whole = read_all(s, id, 100);
        auto reader = s.open(id, nullptr, {});
        batch<int> b;
        for (std::size_t read = 0; read <= whole.size(); ++read) {
            const std::string position = reader->position();
            const std::vector<int> rest(whole.begin() + static_cast<long>(read), whole.end());
            CHECK(read_all(s, id, 2, &position) == rest);
            reader->poll(b, 1);
        }
    }
}

TEST_CASE("a position from another collection is refused") {
    auto longer = collection({1, 2, 3, 4});
    auto shorter = collection({1, 2});
    auto reader = longer.open("0", nullptr, {});
    batch<int> b;
    reader->poll(b, 3);
    const std::string position = reader->position();
    CHECK_THROWS_WITH_AS(shorter.open("0", &position, {}),
                         "collection: saved position 3 is not within split 0. Restore with the same elements and "
                         "number of splits",
                         error);
    const std::string garbage = "abc";
    CHECK_THROWS_AS(shorter.open("0", &garbage, {}), decode_error);
}

TEST_CASE("a collection without splits or elements is a problem of configuration") {
    CHECK(collection({1}, 0).problems().size() == 1);
    CHECK(collection(std::shared_ptr<const std::vector<int>>()).problems().size() == 1);
}

TEST_CASE("a timed collection appends each value with its own time") {
    std::vector<std::pair<std::string, timestamp>> pairs{{"a", timestamp(30)}, {"b", timestamp(-5)}};
    auto from_pairs = timed_collection(pairs);
    auto from_timed = timed_collection({timed{std::string("a"), timestamp(30)}, {"b", timestamp(-5)}});
    source<std::string>* const both[] = {&from_pairs, &from_timed};
    for (source<std::string>* s : both) {
        auto reader = s->open("0", nullptr, {});
        batch<std::string> b;
        CHECK(reader->poll(b, 10).what == poll_result::kind::finished);
        REQUIRE(b.size() == 2);
        CHECK(b.value(0) == "a");
        CHECK(b.time(0) == timestamp(30));
        CHECK(b.value(1) == "b");
        CHECK(b.time(1) == timestamp(-5));
        CHECK(b.min_time() == timestamp(-5));
        CHECK(b.max_time() == timestamp(30));
    }
}

TEST_CASE("an opened reader keeps the elements alive") {
    std::unique_ptr<split_reader<int>> reader;
    {
        auto s = collection(std::vector<int>(1000, 7));
        reader = s.open("0", nullptr, {});
    }
    batch<int> b;
    reader->poll(b, 1000);
    CHECK(b.value(999) == 7);
}
