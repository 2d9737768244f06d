#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/receiver.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A checkpoint or savepoint that cannot be written, found or restored: which file, where in it, and what to do.
class checkpoint_error : public error {
public:
    using error::error;
};

/// The state of one operator of a job, all its subtasks together.
struct saved_operator {
    std::string name;
    std::string kind;
    std::size_t parallelism = 1;
    operator_snapshot state;
    friend bool operator==(const saved_operator&, const saved_operator&) = default;
};

/// All that a job needs to go on from where it was.
struct checkpoint {
    checkpoint_id id = 0;
    std::string job;
    std::size_t key_groups = 0;
    /// By the job's clock.
    timestamp taken;
    bool is_savepoint = false;
    std::vector<saved_operator> operators;
    /// What the job itself has to remember, by name.
    std::map<std::string, std::string> extra;
    friend bool operator==(const checkpoint&, const checkpoint&) = default;
};

}  // namespace runnel
