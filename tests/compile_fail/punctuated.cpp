// expect: static assertion failed: event_time: the strategy does not fit the records: punctuated(f) needs f(const T&) or f(const T&, timestamp) that returns std::optional<timestamp>
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
    clicks.event_time(&click::at, runnel::punctuated([](const click& c) { return c.at; }));
#elif defined(BAD)
    clicks.event_time(&click::at, runnel::punctuated([](int x) { return runnel::timestamp(x); }));
#endif
}
