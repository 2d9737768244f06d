#include "runnel/state/state_store.hpp"

#include <limits>

#include "runnel/core/error.hpp"
#include "runnel/state/frozen_slots.hpp"

namespace runnel::detail {

void key_scope::fail_outside(const char* kind, const std::string& name) {
    throw error(std::string(kind) + " '" + name +
                "' is used where there is no key. Use states and timers only while a record or a timer of a key is "
                "processed.");
}

void key_scope::announce_to_frozen(slot s) noexcept { frozen_->before_change(s); }

void key_scope::unfreeze() const noexcept {
    if (frozen_) (void)frozen_->step(std::numeric_limits<std::size_t>::max());
}

void key_scope::fail_too_many_keys() {
    throw error("a subtask holds state for 4,294,967,294 keys, and can't hold more. Raise the parallelism, or clear "
                "the state of keys that are no longer needed.");
}

void fail_undeclared(const char* handle) {
    throw error(std::string(handle) +
                ": it is used but was not declared. Assign it in open(state_setup&), as in count = "
                "s.value<int>(\"count\").");
}

void fail_undeclared_timer() {
    throw error("a timer is used but was not declared. Assign it in open(state_setup&), as in forget = "
                "s.event_timer(\"forget\").");
}

void fail_no_codec(const state_declaration& of, const char* what) {
    throw error(std::string(of.kind) + " '" + of.name + "' can't be " + what +
                ": its type has no codec. Describe the type with BOOST_DESCRIBE_STRUCT, or specialise runnel::codec "
                "for it.");
}

std::uint32_t timer_queue::declare(std::string_view name) {
    for (std::uint32_t i = 0; i < timers_.size(); ++i)
        if (timers_[i].name == name) return i;
    timers_.push_back({std::string(name), {}});
    return static_cast<std::uint32_t>(timers_.size() - 1);
}

void timer_queue::clean_up() {
    // Set, cancelled and set again: then there are two entries for one timer.
    std::sort(heap_.begin(), heap_.end(), [](const entry& a, const entry& b) { return later(b, a); });
    const auto same = [](const entry& a, const entry& b) {
        return a.time == b.time && a.timer == b.timer && a.of == b.of;
    };
    heap_.erase(std::unique(heap_.begin(), heap_.end(), same), heap_.end());
    std::erase_if(heap_, [&](const entry& e) { return !is_pending(e); });
}

namespace {

/// Errors: `error` if `name` can't be given to a timer, since it is empty or one of `other_clock`.
void check_timer(std::string_view name, const timer_queue& other_clock) {
    if (name.empty()) throw error("a timer is declared without a name. Give it one: a snapshot knows it by that.");
    for (const timer_queue::timer& t : other_clock.timers())
        if (t.name == name)
            throw error("timer '" + std::string(name) +
                        "' is declared by event time and by processing time. Give each a name of its own.");
}

std::string text_of(const state_declaration& d) {
    std::string text = std::string(d.kind);
    if (!d.options.ttl) return text;
    text += d.options.clock == ttl_clock::event ? " expiring by event time" : " expiring by the clock";
    return text;
}

}  // namespace

event_timer state_store::declare_event_timer(std::string_view name) {
    check_timer(name, processing_timers_);
    return {event_timers_, event_timers_.declare(name)};
}

processing_timer state_store::declare_processing_timer(std::string_view name) {
    check_timer(name, event_timers_);
    return {processing_timers_, processing_timers_.declare(name)};
}

const state_declaration* state_store::find(const state_declaration& wanted) const {
    if (wanted.name.empty())
        throw error("a state is declared without a name. Give it one: a snapshot knows it by that.");
    if (wanted.options.ttl && *wanted.options.ttl <= duration::zero())
        throw error("state '" + wanted.name + "' has a time to live of " + std::to_string(wanted.options.ttl->count()) +
                    " ns. It must be more than 0; leave it out to keep the state for ever.");
    const state_declaration* found = nullptr;
    for (const auto& c : columns_)
        if (c->declared().name == wanted.name) found = &c->declared();
    for (const auto& b : broadcasts_)
        if (b->declared().name == wanted.name) found = &b->declared();
    if (found && (found->type != wanted.type || !(found->options == wanted.options)))
        throw error("state '" + wanted.name + "' is declared twice, as " + text_of(*found) + " and as " +
                    text_of(wanted) + ", of different types or options. Give each state a name of its own.");
    return found;
}

state_column& state_store::column_of(const state_declaration& declared) const {
    for (const auto& c : columns_)
        if (&c->declared() == &declared) return *c;
    throw error("state '" + declared.name + "' is no keyed state");  // Not reached: the types would differ.
}

void state_store::keep_in(state_backend& backend, const std::string& operator_name, std::size_t subtask) {
    if (columns_.empty() && event_timers_.timers().empty() && processing_timers_.timers().empty()) return;
    for (const auto& c : columns_) c->check_codec();
    away_ = std::make_unique<away_keys>(backend.open(operator_name, subtask), backend.keys_in_memory(),
                                        parts_);
}

void state_store::fetch_first_timer(timer_queue& of) {
    if (const auto key = away_->first_timer(of)) fetch(*key);
}

void state_store::sweep_away(ttl_clock clock, timestamp limit) {
    while (const auto key = away_->first_expired(clock, limit)) {
        const slot s = fetch(*key);
        for (state_column* c : expiring_)
            if (c->declared().options.clock == clock) c->expire(s, limit);
    }
}

std::string state_store::text() const {
    std::string bytes;
    for (const auto& c : columns_) {
        codec<std::string>::encode(c->declared().name, bytes);
        codec<std::string>::encode(text_of(c->declared()), bytes);
    }
    return bytes;
}

void state_store::check(std::string_view saved) const {
    for (byte_reader in(saved); !in.empty();) {
        const std::string name = codec<std::string>::decode(in);
        const std::string kind = codec<std::string>::decode(in);
        for (const auto& c : columns_)
            if (c->declared().name == name && text_of(c->declared()) != kind)
                throw error("state '" + name + "' was saved as " + kind + " and can't be loaded as " +
                            text_of(c->declared()) + ". Give it another name to start it empty.");
    }
}

}  // namespace runnel::detail
