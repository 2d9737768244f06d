// expect: static assertion failed: process: needs a copyable class with output_type and on_record(const T&, process_context<Out>&), Out being its output_type; see operators/process.hpp
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

struct counting {
    using output_type = int;
#if defined(GOOD)
    void on_record(const click&, runnel::process_context<int>& c) { c.emit(1); }
#else
    void on_record(const click&, runnel::process_context<std::string>& c) { c.emit("1"); }
#endif
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD) || defined(BAD)
    clicks.key_by(&click::user).process(counting{});
#endif
}
