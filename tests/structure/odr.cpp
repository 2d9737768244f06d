// Every public header in one translation unit, linked into every test binary beside the units that use them: a
// definition that is not inline is then a duplicate symbol. The list is made when the build is configured.
#include "all_headers.hpp"
