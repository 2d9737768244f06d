#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/state/state_column.hpp"
#include "runnel/state/timers.hpp"

namespace runnel::detail {

/// All that a key can have: the states and timers that a function has declared.
///
/// A record is what one key has of them, encoded: of each state, in the order of declaration, what a snapshot has of
/// it, or nothing, behind its size; the same of each timer by event time, then of each by processing time. Its layout
/// is that of the declarations, so it is not to outlive them.
///
/// The key itself is known by its bytes, the first two of which are its key group, the higher byte first.
struct state_parts {
    using slot = key_scope::slot;

    const std::vector<std::unique_ptr<state_column>>& columns;
    timer_queue& event_timers;
    timer_queue& processing_timers;

    /// Appends what `write()` appends, behind the number of bytes (64 bits).
    template <class F>
    static void append_sized(std::string& out, F write) {
        const std::size_t at = out.size();
        codec<std::uint64_t>::encode(0, out);
        const std::size_t begin = out.size();
        write();
        std::string size;
        codec<std::uint64_t>::encode(out.size() - begin, size);
        out.replace(at, size.size(), size);
    }
    /// What was appended so, without its size.
    static byte_reader take_sized(byte_reader& in);

    /// What the parts of a record are called in a snapshot, in order.
    std::vector<std::string> names() const;
    /// Appends the record of the key in `s`.
    void append_record(slot s, std::string& out) const;
    /// The group of the key with these bytes, and leaves those of the key alone. Errors: `decode_error`.
    static key_group take_group(std::string_view& key);
};

}  // namespace runnel::detail
