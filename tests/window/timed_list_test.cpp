#include "runnel/window/timed_list.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/random.hpp"

using namespace runnel;

namespace {

using texts = detail::timed_list<std::string>;
using model = std::vector<timed<std::string>>;

void push(texts& list, model& all, int i) {
    all.push_back({"a text that is too long for the inside of a string " + std::to_string(i), timestamp(i % 7)});
    list.push_back(all.back());
}
std::string bytes_of(const texts& list) {
    std::string bytes;
    codec<texts>::encode(list, bytes);
    return bytes;
}

}  // namespace

TEST_CASE("a timed list is what has been put into it, and a copy what it was, whatever both have got since") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<std::pair<texts, model>> lists(1);
        int next = 0;
        for (int step = 0; step < 200; ++step) {
            const std::size_t i = random.below(lists.size()), j = random.below(lists.size());
            switch (random.below(8)) {
                case 0: lists.emplace_back(lists[i]); break;
                case 1: lists.emplace_back(); break;
                case 2:
                    if (i == j || lists[i].second.size() + lists[j].second.size() > 5000) break;
                    lists[i].first.append(lists[j].first);
                    lists[i].second.insert(lists[i].second.end(), lists[j].second.begin(), lists[j].second.end());
                    break;
                case 3: lists[i].first = texts(lists[j].first), lists[i].second = model(lists[j].second); break;
                case 4:
                    if (lists.size() > 1) lists.erase(lists.begin() + static_cast<std::ptrdiff_t>(i));
                    break;
                default:
                    for (std::size_t n = random.below(random.chance(20) ? 400 : 5); n != 0; --n)
                        push(lists[i].first, lists[i].second, next++);
            }
        }
        for (const auto& [list, all] : lists) {
            CHECK(list.size() == all.size());
            CHECK((list.to_vector() == all));
            model seen;
            list.for_each([&](const timed<std::string>& each) { seen.push_back(each); });
            CHECK((seen == all));
            // The bytes are those of a vector of pairs.
            std::vector<std::pair<std::string, timestamp>> pairs;
            for (const timed<std::string>& each : all) pairs.emplace_back(each.value, each.time);
            std::string expected;
            codec<decltype(pairs)>::encode(pairs, expected);
            const std::string bytes = bytes_of(list);
            CHECK((bytes == expected));
            byte_reader in(bytes);
            CHECK((codec<texts>::decode(in).to_vector() == all));
            CHECK(in.empty());
        }
    }
}

TEST_CASE("a copy of a timed list can be read by another thread while the list goes on") {
    texts list;
    model all;
    for (int i = 0; i < 1000; ++i) push(list, all, i);
    const model then = all;
    model seen;
    std::thread other([&seen, copy = list] { seen = copy.to_vector(); });
    texts more = list;
    for (int i = 0; i < 1000; ++i) push(list, all, i);
    list.append(more);
    list = texts();
    other.join();
    CHECK((seen == then));
}

TEST_CASE("copies of a timed list share what they have in common") {
    detail::timed_list<std::shared_ptr<int>> list;
    const auto value = std::make_shared<int>(1);
    for (int i = 0; i < 10'000; ++i) list.push_back({value, timestamp(i)});
    const auto copy = list;
    CHECK(copy.size() == 10'000);
    CHECK(value.use_count() < 10'000 + 1000);
}
