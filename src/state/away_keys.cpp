#include "runnel/state/away_keys.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "runnel/core/error.hpp"

// What is in the store of a subtask. Numbers in keys have their highest byte first, times their sign flipped, so that
// the order of bytes is that of numbers.
//
//   "k" key                        a record: what the key holds
//   "e" time timer-number(4) key   it has that event-time timer; "p": processing-time timer. Only of keys that are away
//   "x" time key                   something of it expires by event time; "y": by processing time. Likewise
//
// A record: the times that stand in keys "x" and "y", `max` for none; then as `state_parts` has it.

namespace runnel::detail {

namespace {

constexpr char record_tag = 'k';
constexpr char expiry_tags[] = {'x', 'y'};
constexpr std::size_t time_bytes = sizeof(std::int64_t);
constexpr std::size_t number_bytes = sizeof(std::uint32_t);

void append_ordered(std::uint64_t n, std::size_t bytes, std::string& out) {
    for (std::size_t i = bytes; i-- != 0;) out += static_cast<char>(n >> (8 * i));
}
void append_ordered(timestamp t, std::string& out) {
    append_ordered(static_cast<std::uint64_t>(t.ns()) ^ (std::uint64_t{1} << 63), time_bytes, out);
}
std::uint64_t take_ordered(std::string_view& from, std::size_t bytes) {
    if (from.size() < bytes) away_keys::fail_lost();
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < bytes; ++i) n = n << 8 | static_cast<unsigned char>(from[i]);
    from.remove_prefix(bytes);
    return n;
}
timestamp take_ordered_time(std::string_view& from) {
    return timestamp(static_cast<std::int64_t>(take_ordered(from, time_bytes) ^ (std::uint64_t{1} << 63)));
}

void expiry_key(std::size_t clock, timestamp t, std::string_view key, std::string& out) {
    out = expiry_tags[clock];
    append_ordered(t, out);
    out += key;
}
void timer_key(bool by_clock, timestamp t, std::uint32_t which, std::string_view key, std::string& out) {
    out = by_clock ? 'p' : 'e';
    append_ordered(t, out);
    append_ordered(which, number_bytes, out);
    out += key;
}

/// All keys, of a store and of memory, as a snapshot has them.
class saved_records final : public keyed_pieces {
public:
    saved_records(std::shared_ptr<const key_store_view> store, frozen_slots& in_memory, key_group_range groups)
        : store_(std::move(store)),
          names_(in_memory.names()),
          in_memory_(in_memory.take_records()),
          groups_(groups) {}

    key_group_range groups() const override { return groups_; }
    std::vector<std::string> names() const override { return names_; }
    void read(std::string_view name, key_group_range range,
              const std::function<void(key_group, std::string_view)>& f) const override {
        const auto which = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
        if (which == names_.size()) return;
        std::string first, end, bytes;
        append_ordered(range.first, sizeof(key_group), first);
        append_ordered(range.last, sizeof(key_group), end);
        key_group group = 0;
        const auto hand_over = [&] {
            if (!bytes.empty()) f(group, bytes);
            bytes.clear();
        };
        const auto add = [&](std::string_view key, byte_reader record) {
            const key_group g = state_parts::take_group(key);
            if (g != group) hand_over();
            group = g;
            for (std::size_t i = 0; i < which; ++i) (void)state_parts::take_sized(record);
            byte_reader part = state_parts::take_sized(record);
            if (part.empty()) return;
            bytes += key;
            bytes += part.take(part.remaining());
        };
        auto at = in_memory_.lower_bound(first);
        const auto last = in_memory_.lower_bound(end);
        store_->for_each(record_tag + first, record_tag + end, [&](std::string_view key, std::string_view record) {
            key.remove_prefix(1);
            for (; at != last && at->first < key; ++at) add(at->first, byte_reader(at->second));
            if (at != last && at->first == key) return;  // The store has what it was before.
            byte_reader in(record);
            for (std::size_t clock = 0; clock != 2; ++clock) (void)codec<timestamp>::decode(in);
            add(key, in);
        });
        for (; at != last; ++at) add(at->first, byte_reader(at->second));
        hand_over();
    }

private:
    const std::shared_ptr<const key_store_view> store_;
    const std::vector<std::string> names_;
    const std::map<std::string, std::string, std::less<>> in_memory_;
    const key_group_range groups_;
};

}  // namespace

away_keys::away_keys(std::unique_ptr<key_store> store, std::size_t most_in_memory, const state_parts& of)
    : store_(std::move(store)), most_in_memory_(std::max<std::size_t>(1, most_in_memory)), of_(of) {}

void away_keys::fail_lost() {
    throw state_error("the store of state that is not in memory has lost what was put there, or changed it. Start the "
                      "job again from its last checkpoint.");
}

/// Calls `f(queue, by_clock, number, times)` for each timer that the key in `s` has.
template <class F>
void away_keys::for_each_timer(slot s, F f) {
    for (timer_queue* queue : {&of_.event_timers, &of_.processing_timers})
        for (std::uint32_t i = 0; i < queue->timers().size(); ++i) {
            const auto& cells = queue->timers()[i].cells;
            if (!cells[s].empty())
                f(*queue, queue == &of_.processing_timers, i, cells[s].all());
        }
}

std::array<timestamp, 2> away_keys::expiries_of(slot s) const {
    std::array<timestamp, 2> first{timestamp::max(), timestamp::max()};
    for (const auto& c : of_.columns) {
        if (!c->expires() || !c->holds(s)) continue;
        timestamp& by = first[static_cast<std::size_t>(c->declared().options.clock)];
        by = std::min(by, c->next_expiry(s));
    }
    return first;
}

/// Has what the key in `s` holds in the store, too.
void away_keys::copy(slot s, std::string_view key) {
    record_.clear();
    for (const timestamp t : expiries_of(s)) codec<timestamp>::encode(t, record_);
    of_.append_record(s, record_);
    key_ = record_tag;
    key_ += key;
    store_->put(key_, record_);
}

void away_keys::remove_copy(slot s, std::string_view key) {
    key_ = record_tag;
    key_ += key;
    store_->erase(key_);
    copies_[s] = 0;
}

void away_keys::add(due& to, const std::string& key) {
    store_->put(key, {});
    if (to.count++ == 0 || key < to.first) to.first = key;
}

void away_keys::remove(due& from, const std::string& key) {
    store_->erase(key);
    --from.count;
}

/// The first of them, without its tag. Precondition: there is one.
std::string_view away_keys::first(due& of) {
    const char tag = of.first[0];
    if (!store_->first(of.first, key_) || key_[0] != tag) fail_lost();
    of.first = key_;
    return std::string_view(of.first).substr(1);
}

void away_keys::put_away(slot s, std::string_view key) {
    copy(s, key);
    const std::array<timestamp, 2> expires = expiries_of(s);
    for (std::size_t clock = 0; clock < expires.size(); ++clock) {
        if (expires[clock] == timestamp::max()) continue;
        expiry_key(clock, expires[clock], key, key_);
        add(expiries_[clock], key_);
    }
    for_each_timer(s, [&](timer_queue&, bool by_clock, std::uint32_t which, const std::vector<timestamp>& times) {
        for (const timestamp t : times) {
            timer_key(by_clock, t, which, key, key_);
            add(timers_[by_clock], key_);
        }
    });
    // From here on nothing can fail. What was a copy is now all that there is.
    if (s < copies_.size()) copies_[s] = 0;
    ++size_;
    for (const auto& c : of_.columns)
        if (c->holds(s)) c->drop(s);
    for_each_timer(s, [&](timer_queue& queue, bool, std::uint32_t which, const std::vector<timestamp>& times) {
        for (const timestamp t : times) queue.goes_away(s, which, t);
    });
}

bool away_keys::find(std::string_view key) {
    key_ = record_tag;
    key_ += key;
    return store_->get(key_, record_);
}

void away_keys::bring_back(slot s) {
    const std::string key = key_.substr(1);
    if (s >= copies_.size()) copies_.resize(s + 1);
    copies_[s] = 1;
    --size_;
    try {
        byte_reader in(record_);
        for (std::size_t clock = 0; clock < expiries_.size(); ++clock) {
            const timestamp t = codec<timestamp>::decode(in);
            if (t == timestamp::max()) continue;
            expiry_key(clock, t, key, key_);
            remove(expiries_[clock], key_);
        }
        for (const auto& c : of_.columns)
            if (byte_reader part = state_parts::take_sized(in); !part.empty()) c->load_back(s, part);
        for (timer_queue* queue : {&of_.event_timers, &of_.processing_timers})
            for (std::uint32_t i = 0; i < queue->timers().size(); ++i) {
                byte_reader part = state_parts::take_sized(in);
                if (part.empty()) continue;
                for (auto n = codec<std::uint64_t>::decode(part); n != 0; --n) {
                    const timestamp t = codec<timestamp>::decode(part);
                    const bool by_clock = queue == &of_.processing_timers;
                    timer_key(by_clock, t, i, key, key_);
                    remove(timers_[by_clock], key_);
                    queue->comes_back(s, i, t);
                }
            }
    } catch (const decode_error&) {
        fail_lost();
    }
}

std::optional<std::string> away_keys::first_timer(timer_queue& of) {
    std::string_view rest = first(timers_[&of == &of_.processing_timers]);
    const timestamp t = take_ordered_time(rest);
    of.first_away_is(static_cast<std::uint32_t>(take_ordered(rest, number_bytes)), t);
    if (!of.away_is_next()) return std::nullopt;
    return std::string(rest);
}

std::optional<std::string> away_keys::first_expired(ttl_clock clock, timestamp limit) {
    due& of = expiries_[static_cast<std::size_t>(clock)];
    if (of.count == 0) return std::nullopt;
    std::string_view rest = std::string_view(of.first).substr(1);
    if (take_ordered_time(rest) > limit) return std::nullopt;
    rest = first(of);
    if (take_ordered_time(rest) > limit) return std::nullopt;
    return std::string(rest);
}

std::shared_ptr<const keyed_pieces> away_keys::with_away(std::shared_ptr<const key_store_view> store,
                                                         frozen_slots& in_memory, key_group_range groups) {
    return std::make_shared<const saved_records>(std::move(store), in_memory, groups);
}

}  // namespace runnel::detail
