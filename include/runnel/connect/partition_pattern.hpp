#pragma once

#include <string>

#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

/// Which subfolder a record belongs to by its time: "dt=%Y-%m-%d/hour=%H", in UTC.
/// Thread safety: distinct objects: safe, shared objects: safe for const members.
class partition_pattern {
public:
    explicit partition_pattern(std::string pattern) : pattern_(std::move(pattern)) {}

    /// What is wrong with it, and what to write instead; empty if nothing is.
    std::string problem() const;

    /// A partition and the times, both included, that belong to it and lie close to the one asked for.
    struct place {
        std::string folder;
        timestamp first = timestamp::min();
        timestamp last = timestamp::max();
    };
    /// Precondition: there is no problem.
    place at(timestamp t) const;

private:
    std::string pattern_;
};

}  // namespace runnel::detail
