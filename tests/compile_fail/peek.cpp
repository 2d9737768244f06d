// expect: static assertion failed: peek: the function must take the stream's record as const T&
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
    clicks.peek([](const click&) {});
#elif defined(BAD)
    clicks.peek([](const std::string&) {});
#endif
}
