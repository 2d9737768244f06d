// expect: static assertion failed: hybrid: both sources must have the same record type
#include "runnel/source/collection.hpp"
#include "runnel/source/hybrid.hpp"

int main() {
#if defined(GOOD)
    runnel::hybrid(runnel::collection({1, 2}), runnel::collection({3}));
#elif defined(BAD)
    runnel::hybrid(runnel::collection({1, 2}), runnel::collection({3.0}));
#endif
}
