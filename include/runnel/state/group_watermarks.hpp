#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/state/key_group.hpp"

namespace runnel::detail {

/// How far event time had come in each key group when its state was saved.
///
/// Subtasks may be saved at different watermarks (idle inputs), and a restore may bring their key groups together.
/// The operator then starts from the lowest; until it has caught up, each group is judged by its own watermark, so
/// that no window fires twice and the same records are late.
/// Thread safety: unsafe.
class group_watermarks {
public:
    void set_groups(std::size_t groups) noexcept { groups_ = groups; }

    void set(key_group group, timestamp watermark) {
        if (saved_.empty()) saved_.resize(groups_, timestamp::min());
        saved_[group] = watermark;
        highest_ = std::max(highest_, watermark);
    }
    /// True if some group is ahead of the operator's watermark.
    bool ahead_of(timestamp watermark) const noexcept { return highest_ > watermark; }

    timestamp highest() const noexcept { return highest_; }

    /// The watermark that counts for `key`, the operator's being `watermark`.
    template <class K>
    timestamp of(const K& key, timestamp watermark) const {
        return ahead_of(watermark) ? of_group(key_group_of(key, groups_), watermark) : watermark;
    }
    timestamp of_group(key_group group, timestamp watermark) const noexcept {
        return ahead_of(watermark) ? std::max(saved_[group], watermark) : watermark;
    }

private:
    std::size_t groups_ = 0;
    std::vector<timestamp> saved_;
    timestamp highest_ = timestamp::min();
};

}  // namespace runnel::detail
