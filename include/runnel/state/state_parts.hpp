#pragma once

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
/// A record is what one key has of them, encoded: of each state, in the order of declaration, the number of bytes
/// (64 bits; 0: nothing) and these, as in a snapshot; the same of each timer by event time, then of each by processing
/// time. Its layout is that of the declarations, so it is not to outlive them.
///
/// The key itself is known by its bytes, the first two of which are its key group, the higher byte first.
struct state_parts {
    using slot = key_scope::slot;

    const std::vector<std::unique_ptr<state_column>>& columns;
    timer_queue& event_timers;
    timer_queue& processing_timers;

    /// What the parts of a record are called in a snapshot, in order.
    std::vector<std::string> names() const;
    /// Appends the record of the key in `s`.
    void append_record(slot s, std::string& out) const;
    /// The next part of a record, without its size; empty if there is nothing of it.
    static byte_reader take_part(byte_reader& record);
    /// The group of the key with these bytes, and leaves those of the key alone. Errors: `decode_error`.
    static key_group take_group(std::string_view& key);
};

}  // namespace runnel::detail
