// expect: static assertion failed: merge: the other stream has records of another type. Map one of the two first
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
    clicks.merge(clicks);
#elif defined(BAD)
    clicks.merge(clicks.map([](const click& c) { return c.user; }));
#endif
}
