#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What a manifest says about one state of an operator.
struct saved_state_info {
    std::string name;
    bool keyed = false;
    /// Key groups, or entries of local state, that hold something.
    std::size_t parts = 0;
    std::uint64_t bytes = 0;
    /// Of keyed state: keys that have something in it, one that has windows in several slices of time once in each.
    /// None if it was not counted.
    std::optional<std::uint64_t> keys = {};
};

/// What a manifest says about one operator.
struct saved_operator_info {
    std::string name;
    std::string kind;
    std::size_t parallelism = 1;
    std::vector<saved_state_info> states;
};

/// What the manifest of a checkpoint or savepoint says, without the state itself.
struct checkpoint_info {
    checkpoint_id id = 0;
    /// Why the manifest cannot be read; then only `id` is known. Empty if all is well.
    std::string damage;
    std::string job;
    std::size_t key_groups = 0;
    timestamp taken;
    bool is_savepoint = false;
    std::vector<saved_operator_info> operators;
    /// Of all state; `new_bytes` of them are in a file that was written for this checkpoint, the others in those of
    /// earlier ones.
    std::uint64_t bytes = 0;
    std::uint64_t new_bytes = 0;
};

}  // namespace runnel
