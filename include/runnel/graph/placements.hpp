#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runnel/exchange/broadcast.hpp"
#include "runnel/exchange/partitioners.hpp"
#include "runnel/exchange/sender.hpp"
#include "runnel/plan/placement.hpp"

/// The ways to place records that don't depend on a key.
namespace runnel::detail {

template <class T, class Partitioner>
plan::placement placed_by(plan::placement::rule by, Partitioner partitioner) {
    return {by, [partitioner = std::move(partitioner)](std::vector<channel*> to, std::size_t batch_size,
                                                       std::size_t) -> std::unique_ptr<receiver_base> {
                return std::make_unique<sender<T, Partitioner>>(std::move(to), partitioner, batch_size);
            }};
}

template <class T>
plan::placement placed_in_turn() {
    return placed_by<T>(plan::placement::rule::rebalance, round_robin{});
}

template <class T, class F>
plan::placement placed_where(F f) {
    return placed_by<T>(plan::placement::rule::custom, custom_partitioner<T, F>{std::move(f)});
}

inline plan::placement placed_everywhere() {
    return {plan::placement::rule::broadcast,
            [](std::vector<channel*> to, std::size_t batch_size, std::size_t) -> std::unique_ptr<receiver_base> {
                return std::make_unique<broadcast_sender>(to, batch_size);
            }};
}

}  // namespace runnel::detail
