// expect: static assertion failed: evict: the evictor must take (std::vector<timed<T>>& records, const window&)
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
    clicks.window(windows).evict([](std::vector<runnel::timed<click>>& r, const runnel::window&) { r.clear(); });
#elif defined(BAD)
    clicks.window(windows).evict([](std::vector<click>& r) { r.clear(); });
#endif
}
