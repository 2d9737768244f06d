#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "runnel/state/away_keys.hpp"
#include "runnel/state/broadcast_state.hpp"
#include "runnel/state/key_scope.hpp"
#include "runnel/state/state_column.hpp"
#include "runnel/state/state_parts.hpp"
#include "runnel/state/timers.hpp"

namespace runnel::detail {

/// What a function has declared: its states and timers, without the type of the key.
///
/// Thread safety: unsafe.
class state_store : public key_scope {
public:
    /// The state of that name, made if it is new. Errors: `error` if it was declared as something else, if the name is
    /// empty, or the time to live is not more than 0.
    template <class Column>
    Column& declare(std::string_view name, const char* kind, const state_options& options) {
        state_declaration wanted{std::string(name), kind, typeid(Column), options};
        if (const state_declaration* same = find(wanted)) return static_cast<Column&>(column_of(*same));
        columns_.push_back(std::make_unique<Column>(std::move(wanted), *this));
        return static_cast<Column&>(*columns_.back());
    }
    template <class Map>
    Map& declare_broadcast(std::string_view name) {
        state_declaration wanted{std::string(name), "broadcast state", typeid(Map), {}};
        if (find(wanted))
            for (const auto& b : broadcasts_)
                if (b->declared().name == wanted.name) return static_cast<Map&>(*b);
        broadcasts_.push_back(std::make_unique<Map>(std::move(wanted)));
        return static_cast<Map&>(*broadcasts_.back());
    }
    /// Errors: `error` if the other clock has a timer of that name.
    event_timer declare_event_timer(std::string_view name);
    processing_timer declare_processing_timer(std::string_view name);

    timer_queue& event_timers() noexcept { return event_timers_; }
    timer_queue& processing_timers() noexcept { return processing_timers_; }
    const timer_queue& event_timers() const noexcept { return event_timers_; }
    const timer_queue& processing_timers() const noexcept { return processing_timers_; }

    /// Removes what no record and no timer can see any more.
    void sweep(ttl_clock clock, timestamp limit) {
        for (state_column* c : expiring_)
            if (c->declared().options.clock == clock) c->sweep(limit);
        if (away_) [[unlikely]] sweep_away(clock, limit);
    }

    /// Keeps only some keys in memory from now on, the others in a store of `backend`. Between the declarations and the
    /// first key. Errors: `state_error`; `error` if a state has no codec.
    void keep_in(state_backend& backend, const std::string& operator_name, std::size_t subtask);

protected:
    state_store() : event_timers_(*this), processing_timers_(*this) { processing_timers_.go_by_clock(); }

    /// No more declarations: remembers which states expire.
    void declared_all() {
        for (const auto& c : columns_)
            if (c->expires()) expiring_.push_back(c.get());
    }
    /// Room for what is kept by slot, for each slot below `slots`.
    void grow_to(std::size_t slots) {
        key_scope::grow_to(slots);
        for (const auto& c : columns_) c->grow_to(slots);
        event_timers_.grow_to(slots);
        processing_timers_.grow_to(slots);
    }
    const std::vector<std::unique_ptr<state_column>>& columns() const noexcept { return columns_; }
    const std::vector<std::unique_ptr<broadcast_column>>& broadcasts() const noexcept { return broadcasts_; }
    /// Null if all keys are in memory.
    away_keys* away() const noexcept { return away_.get(); }
    const state_parts& parts() const noexcept { return parts_; }
    /// Brings a key back that is away, known by its bytes.
    virtual slot fetch(std::string_view key) = 0;
    /// Appends what the key in `s` is and has, if there is one, as `frozen_slots` keeps it.
    virtual void append_slot(slot s, std::string& out) const = 0;
    /// The declared states, encoded: name and kind of each, "value", "list expiring by event time", ...
    std::string text() const;
    /// Errors: `error` if a state that was saved with that text is now of another kind.
    void check(std::string_view saved) const;

private:
    friend class frozen_slots;

    /// The declaration of that name, if there is one. Errors: as `declare`.
    const state_declaration* find(const state_declaration& wanted) const;
    state_column& column_of(const state_declaration& declared) const;
    void fetch_first_timer(timer_queue& of) final;
    void sweep_away(ttl_clock clock, timestamp limit);

    std::vector<std::unique_ptr<state_column>> columns_;
    std::vector<std::unique_ptr<broadcast_column>> broadcasts_;
    std::vector<state_column*> expiring_;
    timer_queue event_timers_;
    timer_queue processing_timers_;
    const state_parts parts_{columns_, event_timers_, processing_timers_};
    std::unique_ptr<away_keys> away_;
};

}  // namespace runnel::detail
