// expect: static assertion failed: map: the function must take the stream's record (T, const T& or T&&) and return the new record
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
    clicks.map([](const click& c) { return c.user.size(); });
#elif defined(BAD)
    clicks.map([](const click&) {});
#endif
}
