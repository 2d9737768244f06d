// expect: static assertion failed: aggregate: needs count(), sum(f), ..., or an aggregate of your own: create() -> A
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
    clicks.key_by(&click::user).window(runnel::tumbling(std::chrono::seconds(1)).drop_late()).aggregate(runnel::count());
#elif defined(BAD)
    clicks.key_by(&click::user).window(runnel::tumbling(std::chrono::seconds(1)).drop_late()).aggregate(5);
#endif
}
