// expect: static assertion failed: partition_by: the function must take the stream's record as const T& and the
// expect: number of subtasks, and return the index of one, an integer
#include <cstddef>
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
    clicks.partition_by([](const click& c, std::size_t subtasks) { return c.user.size() % subtasks; });
#elif defined(BAD)
    clicks.partition_by([](const click& c, std::size_t) { return c.user; });
#endif
}
