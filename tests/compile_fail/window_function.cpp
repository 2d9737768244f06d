// expect: static assertion failed: aggregate: the window function must take (const K& key, const window&, V value)
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({})).key_by(&click::user);
    [[maybe_unused]] const auto windows = runnel::tumbling(std::chrono::seconds(10)).drop_late();
#if defined(GOOD)
    clicks.window(windows).aggregate(runnel::count(), [](const std::string&, runnel::window, std::uint64_t n) { return n + 1; });
#elif defined(BAD)
    clicks.window(windows).aggregate(runnel::count(), [](std::uint64_t n) { return n + 1; });
#endif
}
