// expect: a record type is a plain object type
#include "runnel/core/batch.hpp"

#if defined(GOOD)
runnel::batch<int> numbers;
#elif defined(BAD)
runnel::batch<const int> numbers;
#endif
