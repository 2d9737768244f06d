// expect: static assertion failed: async_map: the function must take the stream's record as const T& and a
// expect: runnel::completion<R>, R being the new record; if its second parameter is auto, name R: async_map<R>(f)
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
    clicks.async_map<std::string>([](const click& c, auto done) { done(c.user); });
#elif defined(BAD)
    clicks.async_map([](const click& c, auto done) { done(c.user); });
#endif
}
