#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/exchange/channel.hpp"

namespace runnel::plan {

/// How the records of an edge find their subtask.
struct placement {
    enum class rule : unsigned char {
        forward,    ///< What subtask i of n sends goes to subtask i mod m of m, so that records keep their order.
        by_key,     ///< To the subtask that owns the key group.
        rebalance,  ///< To one subtask after the other.
        broadcast,  ///< To every subtask.
        custom,     ///< To the subtask that a function of the user's names.
    };
    rule by = rule::forward;
    /// Makes the producing end, with a channel to each subtask, or, where that makes no difference, to the only one.
    /// Empty for `forward`.
    std::function<std::unique_ptr<receiver_base>(std::vector<channel*> to, std::size_t batch_size,
                                                 std::size_t key_groups)>
        make;

    bool is_forward() const noexcept { return by == rule::forward; }
    /// For `describe()`: "by key".
    std::string_view text() const noexcept;
};

}  // namespace runnel::plan
