// expect: static assertion failed: reduce: the function must take two records, the kept and the next, both as const T&, and return a record
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
    clicks.key_by(&click::user).reduce([](const click&, const click& next) { return next; });
#elif defined(BAD)
    clicks.key_by(&click::user).reduce([](const click& kept) { return kept; });
#endif
}
