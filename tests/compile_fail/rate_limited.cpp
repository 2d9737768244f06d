// expect: static assertion failed: hybrid, rate_limited: need a source: an object derived from runnel::source<T>, or a std::shared_ptr to one
#include <vector>

#include "runnel/source/collection.hpp"
#include "runnel/source/rate_limited.hpp"

int main() {
#if defined(GOOD)
    runnel::rate_limited(runnel::collection({1, 2}), 10);
#elif defined(BAD)
    runnel::rate_limited(std::vector{1, 2}, 10);
#endif
}
