#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/state/key_group.hpp"

// Local state "watermarks", an entry per subtask, next to the key groups, whose bytes so stay the same while event time
// goes on: first key group (uint32), the one behind the last (uint32), their watermark (int64, ns); repeated.

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

    /// Of the groups in `mine`, the operator's watermark being `watermark`.
    void save(snapshot_writer& to, key_group_range mine, timestamp watermark) const {
        std::string& bytes = to.local("watermarks");
        for (std::uint32_t first = mine.first, end; first < mine.last; first = end) {
            const timestamp w = of_group(static_cast<key_group>(first), watermark);
            end = first + 1;
            while (end < mine.last && of_group(static_cast<key_group>(end), watermark) == w) ++end;
            codec<std::uint32_t>::encode(first, bytes);
            codec<std::uint32_t>::encode(end, bytes);
            codec<timestamp>::encode(w, bytes);
        }
    }
    /// Returns the lowest of this subtask's groups; none if they were not saved this way.
    std::optional<timestamp> load(const snapshot_reader& from) {
        const key_group_range mine = from.mine();
        bool is_there = false;
        std::optional<timestamp> lowest;
        from.local("watermarks", [&](std::string_view bytes) {
            is_there = true;
            for (byte_reader in(bytes); !in.empty();) {
                const std::uint32_t first = std::max<std::uint32_t>(codec<std::uint32_t>::decode(in), mine.first);
                const std::uint32_t end = std::min<std::uint32_t>(codec<std::uint32_t>::decode(in), mine.last);
                const timestamp w = codec<timestamp>::decode(in);
                if (first < end) lowest = lowest ? std::min(*lowest, w) : w;
                for (std::uint32_t g = first; g < end; ++g) set(static_cast<key_group>(g), w);
            }
        });
        if (!is_there) return {};
        return lowest.value_or(timestamp::min());
    }

private:
    std::size_t groups_ = 0;
    std::vector<timestamp> saved_;
    timestamp highest_ = timestamp::min();
};

}  // namespace runnel::detail
