// expect: static assertion failed: late_to: needs a late_output<T>, T being the stream's record type
#include <memory>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    runnel::late_output<click> late;
    clicks.key_by(&click::user).window(runnel::tumbling(std::chrono::seconds(1)).drop_late().late_to(late)).aggregate(runnel::count());
#elif defined(BAD)
    runnel::late_output<int> late;
    clicks.key_by(&click::user).window(runnel::tumbling(std::chrono::seconds(1)).drop_late().late_to(late)).aggregate(runnel::count());
#endif
}
