// expect: static assertion failed: an operator must have on_record(In&&, timestamp, output<Out>&), or process(batch<In>&, output<Out>&) returning progress
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
    struct op {
        using input_type = click;
        using output_type = int;
        void on_record(click&&, runnel::timestamp, runnel::output<int>&) {}
    };
    clicks.then(op{});
#elif defined(BAD)
    struct op {
        using input_type = click;
        using output_type = int;
        void on_record(int) {}
    };
    clicks.then(op{});
#endif
}
