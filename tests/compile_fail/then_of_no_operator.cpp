// expect: static assertion failed: then: the operator must name its input_type and its output_type
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

struct length {
    using input_type = click;
    using output_type = std::size_t;
    void on_record(click&& c, runnel::timestamp t, runnel::output<std::size_t>& out) { out.emit(c.user.size(), t); }
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    clicks.then(length());
#elif defined(BAD)
    clicks.then([](const click&) { return 1; });
#endif
}
