#pragma once

#include <cstddef>
#include <memory>

#include "runnel/state/state_backend.hpp"

namespace runnel::tests {

/// Where the tests of states and timers keep them, so that all can be run with each: RUNNEL_TEST_STATE is "memory" (or
/// not set), "map", or "rocksdb", both with one key in memory.
std::shared_ptr<state_backend> state_under_test();

/// Whether there is RocksDB here, and how it is used.
bool has_rocksdb();
std::shared_ptr<state_backend> rocksdb_under_test(std::size_t keys_in_memory);

}  // namespace runnel::tests
