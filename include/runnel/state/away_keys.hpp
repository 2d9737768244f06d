#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/state/frozen_slots.hpp"
#include "runnel/state/state_backend.hpp"
#include "runnel/state/state_options.hpp"
#include "runnel/state/state_parts.hpp"

namespace runnel::detail {

/// The keys of one subtask that are not in memory: their states and timers, and when something of them is due.
///
/// A key is known by its bytes, see `state_parts`. While it is in memory the store may have a copy of what it was.
/// Thread safety: unsafe.
/// Complexity: O(bytes of what the key holds) to put it away or bring it back, and a call of the store for each timer.
/// Errors: `state_error`.
class away_keys {
public:
    using slot = key_scope::slot;
    away_keys(std::unique_ptr<key_store> store, std::size_t most_in_memory, const state_parts& of);

    std::size_t most_in_memory() const noexcept { return most_in_memory_; }
    /// Keys that are away.
    std::size_t size() const noexcept { return size_; }

    /// Puts away what the key in `s` holds, after which it holds nothing.
    void put_away(slot s, std::string_view key);
    /// False if that key is not away.
    bool find(std::string_view key);
    /// Gives what the call before has found to the key in `s`, which holds nothing yet.
    void bring_back(slot s);

    bool has_copy(slot s) const noexcept { return s < copies_.size() && copies_[s] != 0; }
    void remove_copy(slot s, std::string_view key);

    /// The key whose timer is the next of all, if it is away. Tells `of` when it is due.
    std::optional<std::string> first_timer(timer_queue& of);
    /// A key that is away and holds something that expires by `limit`.
    std::optional<std::string> first_expired(ttl_clock clock, timestamp limit);

    /// The store as it is now.
    std::shared_ptr<const key_store_view> view() const { return store_->view(); }
    /// What all keys held at one moment, of which those in memory then are `in_memory`, and the others in the store.
    static std::shared_ptr<const keyed_pieces> with_away(std::shared_ptr<const key_store_view> store,
                                                         frozen_slots& in_memory, key_group_range groups);

    [[noreturn]] static void fail_lost();

private:
    /// What is due at some time, of keys that are away; found in the store in order of time.
    struct due {
        std::size_t count = 0;
        /// No key in the store comes before this one: stores are slow in passing over what has been erased.
        std::string first;
    };

    void copy(slot s, std::string_view key);
    std::array<timestamp, 2> expiries_of(slot s) const;
    void add(due& to, const std::string& key);
    std::string_view first(due& of);
    void remove(due& from, const std::string& key);
    template <class F>
    void for_each_timer(slot s, F f);

    std::unique_ptr<key_store> store_;
    std::size_t most_in_memory_;
    const state_parts& of_;
    std::size_t size_ = 0;
    std::array<due, 2> expiries_;       ///< By clock.
    std::array<due, 2> timers_;         ///< By event time, by processing time.
    std::vector<std::uint8_t> copies_;  ///< By slot: whether there is one.
    std::string record_;                ///< What was found, or is being written.
    std::string key_;                   ///< In the store.
};

}  // namespace runnel::detail
