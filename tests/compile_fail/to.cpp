// expect: static assertion failed: to: needs a sink for the stream's record type: an object derived from runnel::sink<T>, or a recipe such as print()
#include <memory>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/sink/null.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    clicks.to(runnel::null_sink());
#elif defined(BAD)
    clicks.to(5);
#endif
}
