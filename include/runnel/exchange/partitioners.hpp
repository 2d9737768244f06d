#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Sends each record where its key's group lives: to subtask `group * subtasks / groups`. `GroupOf` maps a record to
/// its group.
template <class T, class GroupOf>
struct by_key_group {
    GroupOf group_of;
    std::size_t groups;
    std::size_t operator()(const T& record, std::size_t channels) { return group_of(record) * channels / groups; }
};

/// Sends one record after the other to the next channel.
struct round_robin {
    std::size_t next = 0;
    template <class T>
    std::size_t operator()(const T&, std::size_t channels) {
        next = next + 1 < channels ? next + 1 : 0;
        return next;
    }
};

/// Sends each record where `f(record, channels)` says.
/// Errors: `error`, naming the record's time and the index, if there is no such channel.
template <class T, class F>
struct custom_partitioner {
    F f;
    std::size_t operator()(const T& record, timestamp t, std::size_t channels) {
        const auto index = std::invoke(f, record, channels);
        bool exists = static_cast<std::size_t>(index) < channels;
        if constexpr (std::is_signed_v<decltype(index)>) exists = exists && index >= 0;
        if (!exists)
            throw error("partition_by: the function gave subtask " + std::to_string(index) + " to the record of time " +
                        to_string(t) + ", but there are " + std::to_string(channels) +
                        ", from 0 on. Give an index below its second argument.");
        return static_cast<std::size_t>(index);
    }
};

}  // namespace runnel
