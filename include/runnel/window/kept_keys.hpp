#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/state/table.hpp"
#include "runnel/window/event_calendar.hpp"
#include "runnel/window/kept_windows.hpp"

namespace runnel::detail {

/// What has become of a window that was looked at.
enum class look_outcome : unsigned char { kept, cleared, blocked };

/// The keys that have windows, each kept by itself, and when each key is next to be looked at.
/// Thread safety: unsafe.
/// Complexity: as `table` and `event_calendar`.
template <class K, class A, class Memory>
class kept_keys {
    using kept = kept_window<A, Memory>;
    using calendar = event_calendar<K>;

public:
    struct entry {
        kept_windows<A, Memory> windows;
        /// When this key is next looked at, in event time and in processing time: never after something is due. Not
        /// saved.
        timestamp scheduled = timestamp::max();
        timestamp ticked = timestamp::max();
        bool is_scheduled = false;
        bool is_ticked = false;
    };
    using table_type = table<K, entry>;

    table_type& all() noexcept { return keys_; }
    const table_type& all() const noexcept { return keys_; }
    timestamp next_event() const noexcept { return events_.earliest(); }
    timestamp next_tick() const noexcept { return ticks_.earliest(); }

    /// Has the key looked at when the watermark comes to `at`.
    void plan_event(const K& key, entry& e, timestamp at) {
        if (e.is_scheduled && e.scheduled <= at) return;
        e.scheduled = at;
        e.is_scheduled = true;
        events_.push(at, key);
    }
    /// Has the key looked at when the clock comes to `at`, if it ever does.
    void plan_tick(const K& key, entry& e, timestamp at) {
        if (at == timestamp::max() || (e.is_ticked && e.ticked <= at)) return;
        e.ticked = at;
        e.is_ticked = true;
        ticks_.push(at, key);
    }

    /// Looks at the keys whose time has come, in order of time: before each asks `ready()`, and answers `blocked` when
    /// the answer is no; `look(key, entry, window, at)` does what is due for one of its windows, and tells what becomes
    /// of it; `next_of(window)` is when something is due for it next.
    template <class Ready, class NextOf, class Look>
    progress run_events(timestamp until, Ready ready, NextOf next_of, Look look) {
        return run(events_, &entry::scheduled, until, ready, next_of, look);
    }
    template <class Ready, class NextOf, class Look>
    progress run_ticks(timestamp until, Ready ready, NextOf next_of, Look look) {
        return run(ticks_, &entry::ticked, until, ready, next_of, look);
    }

private:
    template <class Ready, class NextOf, class Look>
    progress run(calendar& reminders, timestamp entry::*planned, timestamp until, Ready ready, NextOf next_of,
                 Look look) {
        const auto next_of_key = [&](const entry& e) {
            timestamp next = timestamp::max();
            for (const kept& x : e.windows) next = std::min(next, next_of(x));
            return next;
        };
        const auto refresh = [&](auto& opened) {
            std::erase_if(opened, [&](auto& event) {
                entry* e = keys_.find(event.key, keys_.hash(event.key));
                if (!e || e->*planned != event.at) return true;
                event.at = e->*planned = next_of_key(*e);
                return false;
            });
        };
        while (const auto* reminder = reminders.first(until, refresh)) {
            if (!ready()) return progress::blocked;
            const timestamp at = reminder->at;
            const K key = reminder->key;
            const std::uint64_t hash = keys_.hash(key);
            entry* e = keys_.find(key, hash);
            if (!e || e->*planned != at) {
                reminders.pop();
                continue;
            }
            keys_.announce(key, hash);
            for (std::size_t i = 0; i != e->windows.size();) {
                kept* const x = e->windows.begin() + i;
                const look_outcome done = look(key, *e, *x, at);
                if (done == look_outcome::blocked) return progress::blocked;
                if (done == look_outcome::cleared)
                    e->windows.erase(x, x + 1);
                else
                    ++i;
            }
            if (e->windows.empty()) {
                reminders.pop();
                keys_.erase(key, hash);
            } else {
                put_off(reminders, *e, planned, next_of_key(*e));
            }
        }
        return progress::done;
    }
    /// Looks at the key of the reminder in front again at `at`, or not at all if that is never.
    void put_off(calendar& reminders, entry& e, timestamp entry::*planned, timestamp at) {
        if (planned == &entry::ticked && at == timestamp::max()) {
            reminders.pop();
            e.is_ticked = false;
            e.ticked = at;
        } else {
            e.*planned = at;
            reminders.put_off(at);
        }
    }

    static constexpr duration bucket{1'000'000'000};

    table_type keys_;
    calendar events_{bucket};  // one for each key at its `scheduled`, and overtaken ones
    calendar ticks_{bucket};   // the same in processing time, at `ticked`
};

}  // namespace runnel::detail
