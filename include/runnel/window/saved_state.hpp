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
#include "runnel/core/error.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/group_watermarks.hpp"
#include "runnel/state/saved_layout.hpp"

// Keyed state of a window operator, in one key group: entries. In checkpoints of format version 1: watermark (int64,
// ns), number of entries (uint64), entries. Local state "watermarks": see state/group_watermarks.hpp; version 1 has
// none.
// Local state "windows": the text of the window spec, so that slices of other windows aren't mistaken for ours.

namespace runnel::detail {

/// Appends an accumulator. Errors: `error` if its type has no codec.
template <class A>
void encode_accumulator(const A& a, std::string& out) {
    if constexpr (encodable<A>)
        codec<A>::encode(a, out);
    else
        throw error("window state can't be saved: the aggregate's accumulator has no codec. Specialise runnel::codec "
                    "for it");
}

/// Says what keys and accumulators mean.
template <class K, class A>
void save_window_layouts(snapshot_writer& to) {
    save_key_layout<K>(to);
    if constexpr (encodable<A>) save_layout<A>(to, "accumulator");
}

/// Decodes accumulators that may have been saved when A was another type; keys are the same as they were.
template <class K, class A, bool = encodable<A>>
class saved_accumulators {
public:
    explicit saved_accumulators(const snapshot_reader& from) : values_(from, "accumulator") {
        check_key_layout<K>(from);
    }
    A decode(byte_reader& in) const { return values_.decode(in); }

private:
    saved_values<A> values_;
};
template <class K, class A>
class saved_accumulators<K, A, false> {
public:
    explicit saved_accumulators(const snapshot_reader&) {}
    A decode(byte_reader&) const {
        throw error("window state can't be loaded: the aggregate's accumulator has no codec. Specialise runnel::codec "
                    "for it");
    }
};

/// Gathers entries by key group and hands them to a snapshot.
class keyed_entries {
public:
    explicit keyed_entries(std::size_t groups) : groups_(groups) {}

    /// The bytes to append the next entry of `key` to.
    template <class K>
    std::string& next(const K& key) {
        part& p = groups_[key_group_of(key, groups_.size())];
        ++p.count;
        return p.bytes;
    }

    void write(snapshot_writer& to, std::string_view name, key_group_range mine) const {
        std::uint64_t count = 0;
        for (key_group g = mine.first; g < mine.last; ++g) {
            if (groups_[g].count == 0) continue;
            to.keyed(name, g) += groups_[g].bytes;
            count += groups_[g].count;
        }
        if (count != 0) to.count_keys(name, count);
    }

    /// Calls `entry(byte_reader&)` for each entry of this subtask's groups. Returns the lowest watermark.
    template <class Entry>
    static timestamp read(const snapshot_reader& from, std::string_view name, group_watermarks& restored,
                          Entry entry) {
        const std::optional<timestamp> saved = restored.load(from);
        timestamp lowest = timestamp::max();
        from.keyed(name, [&](key_group g, std::string_view bytes) {
            for (byte_reader in(bytes); !in.empty();) {
                if (saved) {
                    entry(in);
                    continue;
                }
                const timestamp watermark = codec<timestamp>::decode(in);
                restored.set(g, watermark);
                lowest = std::min(lowest, watermark);
                for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) entry(in);
            }
        });
        if (saved) return *saved;
        return lowest == timestamp::max() && !restored.ahead_of(timestamp::min()) ? timestamp::min() : lowest;
    }

private:
    struct part {
        std::uint64_t count = 0;
        std::string bytes;
    };
    std::vector<part> groups_;
};

/// Refuses state that was made by other windows.
inline void check_windows(const snapshot_reader& from, const std::string& windows) {
    from.local("windows", [&](std::string_view saved) {
        if (saved != windows)
            throw error("window state was saved by " + std::string(saved) + " and can't be loaded into " + windows +
                        ". Give the operator another name to start it empty");
    });
}

}  // namespace runnel::detail
