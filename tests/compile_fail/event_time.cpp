// expect: static assertion failed: event_time: the first argument must take the record as const T& and return its time: a timestamp, std::optional<timestamp> or a system_clock time_point
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
    clicks.event_time(&click::at, runnel::monotonous());
#elif defined(BAD)
    clicks.event_time(&click::user, runnel::monotonous());
#endif
}
