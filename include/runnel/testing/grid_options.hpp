#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/state_backend.hpp"

namespace runnel::testing {

/// What the grid has to know of an operator. Use designated initialisers.
template <class In, class Out>
struct grid_options {
    /// The key group of a record: `group_by(key)`. Needed to run an operator with state in several subtasks; without
    /// it, such an operator is only run in one.
    std::function<key_group(const In&, std::size_t key_groups)> group_of{};
    /// Results come in the same order in every way with one subtask. Left false, they come in any order between two
    /// signals.
    bool in_order = false;
    /// Results with the same text keep their order at any parallelism: `order_by(key of the result)`.
    std::function<std::string(const Out&)> result_key{};
    /// What makes results equal, if not `==`: for instance a tolerance for floating point. (Values of side outputs
    /// are compared by `==` if they have it; else their number and times are.)
    std::function<bool(const Out&, const Out&)> equal{};
    /// Most results that the operator adds, at a watermark, after it has asked once whether its output is ready. (For
    /// records the grid finds out itself what is the most for one of them.)
    std::size_t burst = 1;
    /// Restores, too, what subtasks have saved that had come to different watermarks, one apart. An operator that does
    /// anything at a watermark must then save how far it has come by key group. Such snapshots arise behind an operator
    /// with state and without a key in between.
    bool uneven_watermarks = false;
    std::size_t key_groups = 128;
    /// Number of ways with outputs that refuse at random.
    std::size_t seeds = 12;
    /// The subtasks before and after a snapshot in the middle: all pairs of these.
    std::vector<std::size_t> parallelism{1, 2, 3, 4};
    /// As in `job_options`, for all ways but the one that the others are compared to, which is in memory.
    std::shared_ptr<state_backend> state{};
    /// What becomes of failures. If they are left out, dead letters and the count of what was skipped are compared.
    failure_policy on_failure{};
    /// Runs only this way, to look into a difference: the text that its report gave.
    std::string only{};
};

/// `grid_options::group_of` for operators behind `key_by(key)`; `key` is a member or function of the record.
template <class F>
auto group_by(F key) {
    return [key = std::move(key)](const auto& record, std::size_t groups) {
        return key_group_of(std::invoke(key, record), groups);
    };
}

/// `grid_options::result_key`; `key` is a member or function of the result, and needs a codec.
template <class F>
auto order_by(F key) {
    return [key = std::move(key)](const auto& result) {
        std::string bytes;
        codec<std::remove_cvref_t<std::invoke_result_t<const F&, decltype(result)>>>::encode(std::invoke(key, result),
                                                                                              bytes);
        return bytes;
    };
}

}  // namespace runnel::testing
