// A stateless chain of five operators over events in memory, against the loop that does the same by hand.
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"

namespace {

struct event {
    std::uint64_t key;
    std::int64_t ts;
    std::int64_t value;
};

std::uint64_t with_runnel(const std::shared_ptr<const std::vector<event>>& events) {
    std::uint64_t sum = 0;
    runnel::pipeline p{"chain"};
    p.from(runnel::collection(events))
        .map([](event e) {
            e.value = e.value * 3 + 1;
            return e;
        })
        .filter([](const event& e) { return e.value % 7 != 0; })
        .map([](event e) {
            e.key ^= static_cast<std::uint64_t>(e.value);
            return e;
        })
        .filter([](const event& e) { return (e.key & 3) != 0; })
        .map([](event e) {
            e.value += static_cast<std::int64_t>(e.key >> 3);
            return e;
        })
        .to(runnel::for_each([&sum](const event& e) { sum += e.key * 31 + static_cast<std::uint64_t>(e.value); }));
    std::move(p).start().wait();
    return sum;
}

std::uint64_t by_hand(const std::vector<event>& events) {
    std::uint64_t sum = 0;
    for (event e : events) {
        e.value = e.value * 3 + 1;
        if (e.value % 7 == 0) continue;
        e.key ^= static_cast<std::uint64_t>(e.value);
        if ((e.key & 3) == 0) continue;
        e.value += static_cast<std::int64_t>(e.key >> 3);
        sum += e.key * 31 + static_cast<std::uint64_t>(e.value);
    }
    return sum;
}

}  // namespace

int main() {
    constexpr std::size_t n = 10'000'000;
    std::vector<event> made(n);
    for (std::size_t i = 0; i < n; ++i)
        made[i] = {bench::splitmix64(i) % 1000, static_cast<std::int64_t>(i / 1000),
                   static_cast<std::int64_t>(i & 1023)};
    const auto events = std::make_shared<const std::vector<event>>(std::move(made));
    bench::ratio("chain_of_five", 0.6, 0.85, n, [&] { return with_runnel(events); },
                 {{"loop", [&] { return by_hand(*events); }, {}}});
}
