// expect: static assertion failed: the function must be copyable, since each subtask works on a copy of its own. Capture a std::shared_ptr instead of a std::unique_ptr
#include <memory>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    auto state = std::make_shared<int>(1);
    clicks.map([state](const click&) { return *state; });
#elif defined(BAD)
    auto state = std::make_unique<int>(1);
    clicks.map([state = std::move(state)](const click&) { return *state; });
#endif
}
