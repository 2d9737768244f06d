// expect: static assertion failed: process: needs a copyable class with output_type, on_record(const T&, process_context<Out>&) for the first stream and on_second(const U&, process_context<Out>&) for the second
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
    void on_record(const click&, runnel::process_context<int>& c) { c.emit(1); }
#if defined(GOOD)
    void on_second(const click&, runnel::process_context<int>& c) { c.emit(2); }
#endif
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({})).key_by(&click::user);
#if defined(GOOD) || defined(BAD)
    clicks.connect(clicks).process(counting{});
#endif
}
