#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/state/key_scope.hpp"

namespace runnel::detail {

class state_store;

/// What the keys of a `state_store` held at one moment, while the store goes on changing.
///
/// As a `frozen_table` of a table, but encoded, since what keys hold need not be copyable: in blocks of slots, little
/// by little by `step`, and each block at the latest before one of its slots is taken in hand or changed.
/// Thread safety: unsafe until `step` has answered true: used by the thread that uses the store. From then on safe.
/// Complexity: `step` O(bytes); the first look at a key encodes its block.
/// Lifetime: may be destroyed before the store and after it. A store has one at a time.
class frozen_slots {
public:
    using slot = key_scope::slot;

    /// Of slots [0, slots). Precondition: the store has no other one that is not complete; see `state_store::unfreeze`.
    frozen_slots(const state_store& from, std::size_t slots);
    ~frozen_slots();
    frozen_slots(const frozen_slots&) = delete;
    frozen_slots& operator=(const frozen_slots&) = delete;

    /// Encodes about so many bytes; true when all is there, or could not be encoded.
    bool step(std::size_t bytes) noexcept;
    /// What the key in `s` holds may change, or another key get the slot.
    void before_change(slot s) noexcept;

    /// Of the parts of records.
    const std::vector<std::string>& names() const noexcept { return names_; }

    // Once `step` has answered true, one of these frees what it reads. Errors: what encoding has thrown.

    /// Saves all, by state and key group. The same keys give the same bytes.
    void write(snapshot_writer& to);
    /// The records of all keys by the keys' bytes, see `state_parts`.
    std::map<std::string, std::string, std::less<>> take_records();

private:
    /// Few, so that one look at a key does not take long.
    static constexpr std::size_t block_slots = 32;

    template <class F>
    void consume(F f);
    std::size_t copy(std::size_t block);
    void fail() noexcept;
    void complete() noexcept;

    const state_store* from_;  // null when all is encoded
    const std::size_t slots_;
    const std::vector<std::string> names_;
    std::vector<std::unique_ptr<const std::string>> blocks_;
    std::string scratch_;
    std::size_t next_ = 0;
    std::exception_ptr failure_;
};

}  // namespace runnel::detail
