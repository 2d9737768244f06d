// expect: static assertion failed: from: needs a source: an object derived from runnel::source<T>, or a std::shared_ptr to one
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
    p.from(runnel::collection({1, 2}));
#elif defined(BAD)
    p.from(std::vector<int>{1, 2});
#endif
}
