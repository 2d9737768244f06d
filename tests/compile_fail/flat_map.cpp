// expect: static assertion failed: flat_map: the function must take the stream's record (T, const T& or T&&) and return a range, such as std::vector<U>
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
    clicks.flat_map([](const click& c) { return std::vector<char>(c.user.begin(), c.user.end()); });
#elif defined(BAD)
    clicks.flat_map([](const click& c) { return c.user.size(); });
#endif
}
