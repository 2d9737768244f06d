// expect: static assertion failed: window: it can fire more than once; say what it gives then: add .accumulating() (all its records, each time), or .discarding() (what is new)
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
    clicks.window(windows.early(runnel::every_records(3)).discarding());
#elif defined(BAD)
    clicks.window(windows.early(runnel::every_records(3)));
#endif
}
