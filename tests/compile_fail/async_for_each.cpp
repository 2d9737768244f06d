// expect: static assertion failed: runnel::async_for_each: the function cannot be called with a record of this stream; it takes (const T&, runnel::record_done) or (const T&, runnel::timestamp, runnel::record_done)
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/async_for_each.hpp"
#include "runnel/source/collection.hpp"

int main() {
    runnel::pipeline p;
    auto numbers = p.from(runnel::collection({1, 2, 3}));
#if defined(GOOD)
    numbers.to(runnel::async_for_each([](int, const runnel::record_done& done) { done(); }));
#elif defined(BAD)
    numbers.to(runnel::async_for_each([](int) {}));
#endif
}
