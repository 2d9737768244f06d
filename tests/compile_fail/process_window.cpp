// expect: static assertion failed: process_window: the function must take (const K& key, const window&, const std::vector<timed<T>>& records)
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
    clicks.window(windows).process_window([](const std::string&, runnel::window, const std::vector<runnel::timed<click>>& r) { return r.size(); });
#elif defined(BAD)
    clicks.window(windows).process_window([](const std::vector<click>& r) { return r.size(); });
#endif
}
