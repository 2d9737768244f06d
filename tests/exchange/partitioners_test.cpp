#include "runnel/exchange/partitioners.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

using namespace runnel;

namespace {

/// What a custom partitioner says of a record of time 7 when `f` gives `index` and there are 3 channels.
template <class Index>
std::string error_of(Index index) {
    auto f = [index](const std::string&, std::size_t) { return index; };
    custom_partitioner<std::string, decltype(f)> p{f};
    try {
        return "taken: " + std::to_string(p("record", timestamp(7), 3));
    } catch (const error& e) {
        return e.what();
    }
}

}  // namespace

TEST_CASE("round robin goes through all channels in turn") {
    round_robin p;
    std::vector<std::size_t> chosen;
    for (int i = 0; i < 7; ++i) chosen.push_back(p("any record", 3));
    CHECK(chosen == std::vector<std::size_t>{1, 2, 0, 1, 2, 0, 1});
    CHECK(p("any record", 1) == 0);
}

TEST_CASE("a custom partitioner is asked with the record and the number of channels") {
    auto f = [](const std::string& s, std::size_t channels) { return s.size() % channels; };
    custom_partitioner<std::string, decltype(f)> p{f};
    CHECK(p("four", timestamp(0), 3) == 1);
    CHECK(p("three", timestamp(0), 4) == 1);
    CHECK(error_of(2) == "taken: 2");
    CHECK(error_of(std::uint8_t{0}) == "taken: 0");
}

TEST_CASE("an index out of range is an error that names it and the record's time") {
    for (const std::string& text : {error_of(3), error_of(std::size_t{3})}) {
        CHECK(text.find("gave subtask 3 to the record of time 1970-01-01T00:00:00.000000007Z") != std::string::npos);
        CHECK(text.find("there are 3, from 0 on") != std::string::npos);
    }
    CHECK(error_of(-1).find("subtask -1") != std::string::npos);
    CHECK(error_of(std::int64_t{-1} << 60).find("subtask -1152921504606846976") != std::string::npos);
    CHECK(error_of(~std::uint64_t{0}).find("subtask 18446744073709551615") != std::string::npos);
    CHECK(error_of(static_cast<signed char>(-3)).find("subtask -3") != std::string::npos);
}

TEST_CASE("groups of keys are dealt to channels in ranges") {
    struct group_of {
        std::size_t operator()(int value) const { return static_cast<std::size_t>(value); }
    };
    for (std::size_t channels : {1, 2, 3, 7, 128}) {
        by_key_group<int, group_of> p{{}, 128};
        std::size_t last = 0;
        for (int g = 0; g < 128; ++g) {
            const std::size_t c = p(g, channels);
            CHECK(c < channels);
            CHECK(c >= last);
            last = c;
        }
    }
}
