#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/state/control_group.hpp"
#include "runnel/state/table.hpp"

namespace runnel {

/// What a table held at one moment, while the table goes on changing.
///
/// The table is copied in blocks of slots, little by little by `step`, and each block at the latest before the table
/// changes it for the first time. So nobody waits for the whole copy, and nothing is copied twice.
/// Thread safety: unsafe until `step` has answered true: used by the thread that uses the table. From then on safe.
/// Complexity: `step` O(bytes); a change of the table costs a copy of its block, once.
/// Lifetime: may be destroyed before the table and after it. A table has one at a time.
template <class K, class V>
class frozen_table final : private detail::table_watcher {
    using table_type = table<K, V>;
    using entry = typename table_type::entry;

public:
    /// Precondition: the table has no other one that is not complete; see `table::unwatch`.
    explicit frozen_table(const table_type& from)
        : from_(&from), blocks_((from.slots() + block_slots - 1) / block_slots) {
        from.watch(*this);
        if (blocks_.empty()) complete();
    }
    ~frozen_table() {
        if (from_) from_->watch_no_more();
        for (std::unique_ptr<block>& b : blocks_) destroy(b.get());
    }
    frozen_table(const frozen_table&) = delete;
    frozen_table& operator=(const frozen_table&) = delete;

    /// Copies about so many bytes; true when all is copied, or there was no memory for it.
    bool step(std::size_t bytes) noexcept {
        // What an entry owns elsewhere may be a multiple of itself.
        constexpr std::size_t block_bytes = sizeof(block) * (std::is_trivially_copyable_v<entry> ? 1 : 8);
        for (std::size_t n = bytes / block_bytes + 1; n != 0 && from_; --n) {
            before_change(next_ * block_slots);
            if (from_ && ++next_ == blocks_.size()) complete();
        }
        return !from_;
    }

    /// Calls `f(const K&, const V&)` for each key in slot `first_slot` or behind it, and frees what has been read.
    /// Precondition: `step` has answered true. Errors: std::bad_alloc if there was no memory for all.
    template <class F>
    void consume(F f, std::size_t first_slot = 0) {
        if (failed_) throw std::bad_alloc();
        std::size_t at = 0;
        for (std::unique_ptr<block>& b : blocks_) {
            for (std::size_t s = 0; s != block_slots; ++s, ++at)
                if (b->tags[s] != 0 && at >= first_slot) f(std::as_const(b->at(s).key), std::as_const(b->at(s).value));
            destroy(b.get());
            b.reset();
        }
        blocks_.clear();
    }

private:
    static constexpr std::size_t block_slots = 16 * detail::group_slots;

    struct block {
        std::uint8_t tags[block_slots] = {};
        alignas(entry) std::byte entries[block_slots * sizeof(entry)];
        entry& at(std::size_t s) noexcept { return *std::launder(reinterpret_cast<entry*>(entries) + s); }
    };

    static void destroy(block* b) noexcept {
        if constexpr (!std::is_trivially_destructible_v<entry>)
            if (b)
                for (std::size_t s = 0; s != block_slots; ++s)
                    if (b->tags[s] != 0) std::destroy_at(&b->at(s));
        (void)b;
    }

    void before_change(std::size_t slot) noexcept override {
        try {
            copy(slot / block_slots);
        } catch (...) {
            // What matters is the table: it goes on, without this copy.
            failed_ = true;
            complete();
        }
    }
    void before_end() noexcept override {
        while (!step(std::size_t{1} << 30)) continue;
    }

    void copy(std::size_t i) {
        if (blocks_[i]) return;
        auto made = std::make_unique<block>();
        const std::size_t first = i * block_slots;
        const std::size_t n = std::min(block_slots, from_->slots() - first);
        try {
            for (std::size_t s = 0; s != n; ++s) {
                const std::uint8_t tag = from_->tag_at(first + s);
                if (tag == 0) continue;
                ::new (static_cast<void*>(&made->at(s))) entry(from_->entry_at(first + s));
                made->tags[s] = tag;
            }
        } catch (...) {
            destroy(made.get());
            throw;
        }
        blocks_[i] = std::move(made);
    }
    void complete() noexcept {
        from_->watch_no_more();
        from_ = nullptr;
    }

    const table_type* from_;  // null when all is copied
    std::vector<std::unique_ptr<block>> blocks_;
    std::size_t next_ = 0;
    bool failed_ = false;
};

namespace detail {

/// Has what `copy` freezes copied little by little, and then `write(snapshot_writer&, copy)` called. `write` may use
/// nothing of the operator's, which has gone on.
template <class Copy, class Write>
void save_gradually(snapshot_writer& to, std::shared_ptr<Copy> copy, Write write) {
    constexpr std::size_t bytes_a_step = 256 * 1024;
    to.gradually([copy] { return copy->step(bytes_a_step); });
    to.later([copy, write](snapshot_writer& into) { write(into, *copy); });
}
/// The same with a copy of a table: all that changes its values must announce it, see `table::announce`.
template <class K, class V, class Write>
void save_gradually(snapshot_writer& to, const table<K, V>& from, Write write) {
    from.unwatch();
    save_gradually(to, std::make_shared<frozen_table<K, V>>(from), write);
}

}  // namespace detail

}  // namespace runnel
