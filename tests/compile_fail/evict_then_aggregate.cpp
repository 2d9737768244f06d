// expect: static assertion failed: evict: an aggregate keeps no records that could be evicted. Use process_window(f) behind evict
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
    clicks.window(windows).evict(runnel::keep_last(3)).process_window([](const std::string&, runnel::window, const std::vector<runnel::timed<click>>& r) { return r.size(); });
#elif defined(BAD)
    clicks.window(windows).evict(runnel::keep_last(3)).aggregate(runnel::count());
#endif
}
