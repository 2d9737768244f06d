#include <stdexcept>

#include "tests/support/state_under_test.hpp"

namespace runnel::tests {

bool has_rocksdb() { return false; }
std::shared_ptr<state_backend> rocksdb_under_test(std::size_t) { throw std::runtime_error("there is no RocksDB here"); }

}  // namespace runnel::tests
