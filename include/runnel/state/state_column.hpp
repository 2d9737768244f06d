#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/core/error.hpp"
#include "runnel/state/key_scope.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/state/state_options.hpp"

namespace runnel::detail {

/// How a declared state looks from outside; what must be the same when it is declared or loaded again.
struct state_declaration {
    std::string name;
    const char* kind;      ///< "value", "list", ...
    std::type_index type;  ///< Of the column.
    state_options options{};
};

[[noreturn]] void fail_no_codec(const state_declaration& of, const char* what);

/// One declared state of all keys: a cell for each slot.
///
/// Thread safety: unsafe.
class state_column {
public:
    using slot = key_scope::slot;

    state_column(state_declaration declared, key_scope& scope) : declared_(std::move(declared)), scope_(scope) {}
    state_column(const state_column&) = delete;
    state_column& operator=(const state_column&) = delete;
    virtual ~state_column() = default;

    const state_declaration& declared() const noexcept { return declared_; }
    /// A cell for each slot below `slots`. All slots in use have one.
    virtual void grow_to(std::size_t slots) = 0;
    /// True if the key in `s` has something to save.
    virtual bool holds(slot s) const = 0;
    virtual void save(slot s, std::string& out) const = 0;
    virtual void load(slot s, byte_reader& in) = 0;
    /// The same for what this program itself has saved.
    void load_back(slot s, byte_reader& in) {
        auto of_another_program = std::exchange(conversions_, {});
        load(s, in);
        conversions_ = std::move(of_another_program);
    }
    /// Removes what the key in `s` holds. Precondition: `holds(s)`.
    virtual void drop(slot s) = 0;
    /// Errors: `error` naming the state, if it can't be saved.
    void check_codec() const {
        if (layouts().empty()) fail_no_codec(declared_, "kept outside of memory");
    }
    void save_layouts(snapshot_writer& to) const;
    /// To be called before anything is loaded. Errors: `checkpoint_error` if what was saved can't be loaded.
    void load_layouts(const snapshot_reader& from);
    /// Removes what has expired by `limit`, which is at or before any time at which it could be read again.
    virtual void sweep(timestamp limit) = 0;
    /// The same for one key.
    virtual void expire(slot s, timestamp limit) = 0;
    /// When something of what the key in `s` holds expires. Precondition: `holds(s)`, `expires()`.
    virtual timestamp next_expiry(slot s) const = 0;

    bool expires() const noexcept { return declared_.options.ttl.has_value(); }

protected:
    key_scope& scope() const noexcept { return scope_; }
    /// The slot in hand for reading: `no_slot` or more if the key holds nothing.
    slot reading() const {
        const slot s = scope_.in_hand();
        if (s >= key_scope::no_slot) [[unlikely]] scope_.check_key(declared_.kind, declared_.name);
        return s;
    }
    slot writing() { return scope_.make_slot(declared_.kind, declared_.name); }

    bool refreshed_by_reading() const noexcept {
        return declared_.options.refresh == ttl_refresh::on_read_and_write;
    }
    timestamp now() const {
        return declared_.options.clock == ttl_clock::event ? scope_.event_time() : scope_.processing_time();
    }
    /// When what is touched now expires. Precondition: `expires()`.
    timestamp fresh_until() const { return now() + *declared_.options.ttl; }

    /// What is encoded or decoded has a codec, or this is an error that says so.
    template <class V>
    void encode(const V& value, std::string& out) const {
        if constexpr (encodable<V>) codec<V>::encode(value, out);
        else fail_no_codec(declared_, "saved");
    }
    /// `which` of the types of `layouts`.
    template <class V>
    V decode(byte_reader& in, std::size_t which = 0) const {
        if constexpr (encodable<V>)
            return decode_saved<V>(which < conversions_.size() ? conversions_[which].get() : nullptr, in);
        else fail_no_codec(declared_, "loaded");
    }

    /// Of what is saved: the values, then the keys of a map.
    virtual std::vector<layout> layouts() const = 0;
    template <class... Vs>
    static std::vector<layout> layouts_of() {
        if constexpr ((encodable<Vs> && ...)) return {layout_builder::build<Vs>()...};
        else return {};
    }

private:
    std::string layout_name(std::size_t which) const;

    state_declaration declared_;
    key_scope& scope_;
    std::vector<std::unique_ptr<const layout_conversion>> conversions_;  ///< As `layouts`; null: loaded as it is.
};

[[noreturn]] void fail_undeclared(const char* handle);

/// The column behind a handle. Errors: `error` if the handle was not declared.
template <class Column>
Column& declared(Column* column, const char* handle) {
    if (!column) [[unlikely]] fail_undeclared(handle);
    return *column;
}

/// When what the slots hold of one state expires, and which of them is due to be looked at.
///
/// Each slot that holds something has one entry in a queue, which is looked at when the time has come and put off if
/// the slot has been touched since: so a touch costs one store. All entries lie the same time ahead when they are
/// made, so the queue is nearly in order; one that is not waits for those in front.
/// Complexity: amortised O(1) for each time to live that a slot is kept.
class slot_expiry {
public:
    using slot = key_scope::slot;

    timestamp of(slot s) const noexcept { return s < lives_.size() ? lives_[s].until : timestamp::max(); }
    /// What `s` holds is kept until `until` at least.
    void touch(slot s, timestamp until) {
        if (s >= lives_.size()) lives_.resize(s + 1);
        life& l = lives_[s];
        l.until = std::max(l.until, until);
        if (l.queued) return;
        queue_.push_back({until, s});
        l.queued = true;
    }
    void clear(slot s) noexcept {
        if (s < lives_.size()) lives_[s].until = timestamp::min();
    }
    /// Calls `look(slot)` for slots that are due; it gives the next time to look, or none if the slot is empty.
    template <class Look>
    void sweep(timestamp limit, Look look) {
        while (!queue_.empty() && queue_.front().first <= limit) {
            const slot s = queue_.front().second;
            queue_.pop_front();
            const std::optional<timestamp> next = look(s);
            if (next) queue_.emplace_back(*next, s);
            lives_[s].queued = next.has_value();
        }
    }

private:
    struct life {
        timestamp until = timestamp::min();
        bool queued = false;
    };
    std::vector<life> lives_;
    std::deque<std::pair<timestamp, slot>> queue_;
};

}  // namespace runnel::detail
