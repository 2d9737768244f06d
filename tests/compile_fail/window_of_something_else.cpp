// expect: static assertion failed: window: needs tumbling(...), sliding(...), session(...) or another window
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/assigners.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    clicks.key_by(&click::user).window(runnel::session(std::chrono::seconds(10)).drop_late());
#elif defined(BAD)
    clicks.key_by(&click::user).window(std::chrono::seconds(10));
#endif
}
