// expect: static assertion failed: key_by: the function must take the stream's record as const T& and return its key; a pointer to a member will do
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
    clicks.key_by(&click::user);
#elif defined(BAD)
    clicks.key_by(&std::string::size);
#endif
}
