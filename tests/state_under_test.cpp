#include "tests/support/state_under_test.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/support/map_backend.hpp"

namespace runnel::tests {

std::shared_ptr<state_backend> state_under_test() {
    const char* const set = std::getenv("RUNNEL_TEST_STATE");
    const std::string wanted = set ? set : "memory";
    if (wanted == "memory") return nullptr;
    if (wanted == "map") return std::make_shared<map_backend>(1);
    if (wanted == "rocksdb") return rocksdb_under_test(1);
    throw std::runtime_error("RUNNEL_TEST_STATE is none of memory, map, rocksdb");
}

}  // namespace runnel::tests
