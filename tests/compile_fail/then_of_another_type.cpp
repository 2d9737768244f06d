// expect: static assertion failed: then: the operator's input_type is not the stream's record type
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

struct length {
    using input_type = std::string;
    using output_type = std::size_t;
    void on_record(std::string&& s, runnel::timestamp t, runnel::output<std::size_t>& out) { out.emit(s.size(), t); }
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    clicks.map([](const click& c) { return c.user; }).then(length());
#elif defined(BAD)
    clicks.then(length());
#endif
}
