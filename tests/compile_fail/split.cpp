// expect: static assertion failed: split: the function must take the stream's record as const T& and return bool
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
    clicks.split([](const click& c) { return c.user.empty(); });
#elif defined(BAD)
    clicks.split([](const click&) {});
#endif
}
