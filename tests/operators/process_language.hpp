#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/operators/process_context.hpp"
#include "runnel/state/state_setup.hpp"
#include "tests/support/random.hpp"

/// Process functions drawn from a seed: lists of actions on state and timers. They are run by an operator, and by a
/// model that was written from the rules: one key after the other, everything in plain maps.
namespace process_language {

using namespace runnel;

/// A record: a key, and the number of the list of actions to carry out.
struct instruction {
    int key = 0;
    int list = 0;
    timestamp at{};
    friend bool operator==(const instruction&, const instruction&) = default;
    friend std::ostream& operator<<(std::ostream& out, const instruction& i) {
        return out << "list " << i.list << " for key " << i.key;
    }
};

enum class what : unsigned char {
    set_value, add_to_value, clear_value, show_value,
    add_to_list, clear_list, show_list,
    put_into_map, erase_from_map, show_map,
    reduce, clear_reduced, show_reduced,
    show_time, set_timer, cancel_timer, set_alarm, cancel_alarm,
};
struct action {
    what does;
    int a;  ///< A number, a key of the map, seconds from the time in hand, ...
    int b;  ///< A number, which of the two timers.
};
using actions = std::vector<action>;

struct program {
    static constexpr int lists = 12;
    std::vector<actions> of_record;
    std::vector<actions> of_timer;  ///< Of timers 0 and 1 by event time, and of the alarm by the clock.
    std::optional<duration> value_ttl, list_ttl, map_ttl;
    bool list_refreshed_by_reading = false;
    bool by_clock;

    program(std::uint64_t seed, bool with_clock) : by_clock(with_clock) {
        tests::random_numbers random(seed);
        const auto draw = [&](std::size_t most) {
            actions all;
            for (std::size_t n = 1 + random.below(most); n != 0; --n)
                all.push_back({static_cast<what>(random.below(with_clock ? 18 : 16)),
                               static_cast<int>(random.between(-3, 6)), static_cast<int>(random.below(2))});
            return all;
        };
        for (int i = 0; i < lists; ++i) of_record.push_back(draw(5));
        for (int i = 0; i < 3; ++i) of_timer.push_back(draw(4));
        const auto ttl = [&]() -> std::optional<duration> {
            if (random.chance(50)) return std::nullopt;
            return std::chrono::seconds(random.between(1, 9));
        };
        value_ttl = ttl();
        list_ttl = ttl();
        map_ttl = ttl();
        list_refreshed_by_reading = random.chance(50);
    }
};

inline timestamp whole_seconds(timestamp t) { return timestamp(t.ns() - t.ns() % 1'000'000'000); }

/// How often timers of a key may set timers until the next record comes: or the end of the input would not end.
constexpr int fuel_of_a_record = 3;

struct interpreter {
    using output_type = std::string;
    using context = process_context<std::string>;
    std::shared_ptr<const program> code;
    value_state<int> value{}, fuel{};
    list_state<int> list{};
    map_state<int, int> map{};
    reducing_state<int> reduced{};
    event_timer timers[2]{};
    processing_timer alarm{};

    void open(state_setup& s) {
        value = s.value<int>("value", {.ttl = code->value_ttl, .refresh = ttl_refresh::on_read_and_write});
        fuel = s.value<int>("fuel");
        list = s.list<int>("list", {.ttl = code->list_ttl,
                                    .refresh = code->list_refreshed_by_reading ? ttl_refresh::on_read_and_write
                                                                               : ttl_refresh::on_write});
        map = s.map<int, int>("map", {.ttl = code->map_ttl,
                                      .clock = code->by_clock ? ttl_clock::processing : ttl_clock::event});
        reduced = s.reducing<int>("reduced", [](int a, int b) { return (3 * a + b) % 1000; });
        timers[0] = s.event_timer("first");
        timers[1] = s.event_timer("second");
        if (code->by_clock) alarm = s.processing_timer("alarm");
    }
    void on_record(const instruction& i, context& c) {
        fuel.set(fuel_of_a_record);
        run(code->of_record[static_cast<std::size_t>(i.list)], false, c);
    }
    void on_timer(const timer_event& e, context& c) {
        const std::size_t which = e == timers[0] ? 0 : e == timers[1] ? 1 : 2;
        show("timer " + std::to_string(which), c);
        run(code->of_timer[which], true, c);
    }

private:
    void show(const std::string& text, context& c) { c.emit(std::to_string(c.key<int>()) + ": " + text); }
    bool may_set(bool by_timer) {
        if (!by_timer) return true;
        if (fuel.value_or(0) == 0) return false;
        --fuel.get_or_create();
        return true;
    }
    void run(const actions& all, bool by_timer, context& c) {
        for (const auto& [does, a, b] : all) {
            const timestamp t = whole_seconds(c.time()) + std::chrono::seconds(a);
            switch (does) {
                case what::set_value: value.set(a); break;
                case what::add_to_value: value.get_or_create() += a; break;
                case what::clear_value: value.clear(); break;
                case what::show_value: show(value.get() ? std::to_string(*value.get()) : "none", c); break;
                case what::add_to_list: list.add(a); break;
                case what::clear_list: list.clear(); break;
                case what::show_list: {
                    std::string text = "list";
                    for (const int i : list.elements()) text += " " + std::to_string(i);
                    show(text, c);
                    break;
                }
                case what::put_into_map: map.put(a, b); break;
                case what::erase_from_map: map.erase(a); break;
                case what::show_map: {
                    std::string text = "map";
                    map.for_each([&](int k, int v) { text += " " + std::to_string(k) + "=" + std::to_string(v); });
                    show(text, c);
                    break;
                }
                case what::reduce: reduced.add(a); break;
                case what::clear_reduced: reduced.clear(); break;
                case what::show_reduced: show(reduced.get() ? std::to_string(*reduced.get()) : "none", c); break;
                case what::show_time: show("time", c); break;
                case what::set_timer:
                    if (may_set(by_timer)) timers[b].set(t);
                    break;
                case what::cancel_timer: timers[b].cancel(t); break;
                case what::set_alarm:
                    if (may_set(by_timer)) alarm.set(whole_seconds(c.processing_time()) + std::chrono::seconds(a));
                    break;
                case what::cancel_alarm:
                    alarm.cancel(whole_seconds(c.processing_time()) + std::chrono::seconds(a));
                    break;
            }
        }
    }
};

/// What the interpreter must give, text and time, in order per key.
class model {
public:
    using results = std::map<int, std::vector<std::pair<std::string, timestamp>>>;

    explicit model(const program& code) : code_(code) {}

    results out;

    void record(const instruction& i) {
        key_ = i.key;
        keys_[key_].fuel = fuel_of_a_record;
        run(code_.of_record[static_cast<std::size_t>(i.list)], false, i.at, std::max(i.at, watermark_));
        alarms_until(clock_);
    }
    void watermark(timestamp w) {
        while (const auto next = first(&of_key::timers, w)) {
            const auto [t, which, key] = *next;
            keys_[key].timers.erase({t, which});
            call(key, t, which, std::max(t, watermark_));
            alarms_until(clock_);
        }
        if (w == timestamp::max()) {
            ended_ = true;
            alarms_until(timestamp::max());
        }
        watermark_ = w;
    }
    /// The clock jumps to t, or, as in a job, goes there from timer to timer.
    void clock(timestamp t, bool jumps) {
        if (jumps) clock_ = t;
        alarms_until(t);
        clock_ = t;
    }
    /// All records in order of time, each behind the timers that are earlier: what `in_event_time_order` promises.
    void in_order(std::vector<instruction> all) {
        std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
        const auto timers_until = [&](timestamp limit) {
            while (const auto next = first(&of_key::timers, limit)) {
                const auto [t, which, key] = *next;
                keys_[key].timers.erase({t, which});
                watermark_ = std::max(watermark_, t);
                call(key, t, which, watermark_);
            }
        };
        for (const instruction& i : all) {
            timers_until(i.at.previous());
            watermark_ = std::max(watermark_, i.at.previous());
            record(i);
        }
        timers_until(timestamp::max());
    }

private:
    template <class V>
    struct aging {
        V value;
        timestamp until;
    };
    struct of_key {
        int fuel = 0;
        std::optional<aging<int>> value;
        std::vector<aging<int>> list;
        std::map<int, aging<int>> map;
        std::optional<int> reduced;
        std::set<std::pair<timestamp, int>> timers, alarms;
    };
    using place = std::tuple<timestamp, int, int>;  // time, which, key

    std::optional<place> first(std::set<std::pair<timestamp, int>> of_key::*which, timestamp limit) const {
        std::optional<place> found;
        for (const auto& [key, k] : keys_) {
            if ((k.*which).empty()) continue;
            const auto [t, n] = *(k.*which).begin();
            if (t <= limit && (!found || place(t, n, key) < *found)) found = place(t, n, key);
        }
        return found;
    }
    void alarms_until(timestamp limit) {
        while (const auto next = first(&of_key::alarms, limit)) {
            const auto [t, which, key] = *next;
            keys_[key].alarms.erase({t, which});
            if (!ended_) clock_ = std::max(clock_, t);
            call(key, t, which, watermark_);
        }
    }
    void call(int key, timestamp t, int which, timestamp event_now) {
        key_ = key;
        out[key].emplace_back(std::to_string(key) + ": timer " + std::to_string(which), t);
        run(code_.of_timer[static_cast<std::size_t>(which)], true, t, event_now);
    }

    static timestamp fresh(const std::optional<duration>& ttl, timestamp now) {
        return ttl ? now + *ttl : timestamp::max();
    }
    static bool seen(timestamp until, const std::optional<duration>& ttl, timestamp now) { return !ttl || until > now; }

    void run(const actions& all, bool by_timer, timestamp time, timestamp now) {
        of_key& k = keys_[key_];
        const timestamp map_now = code_.by_clock ? clock_ : now;
        const auto show = [&](const std::string& text) {
            out[key_].emplace_back(std::to_string(key_) + ": " + text, time);
        };
        const auto may_set = [&] { return !by_timer || (k.fuel != 0 && k.fuel-- != 0); };
        const auto value_seen = [&] { return k.value && seen(k.value->until, code_.value_ttl, now); };
        for (const auto& [does, a, b] : all) {
            const timestamp t = whole_seconds(time) + std::chrono::seconds(a);
            const timestamp alarm = whole_seconds(clock_) + std::chrono::seconds(a);
            const timestamp value_until = fresh(code_.value_ttl, now);
            switch (does) {
                case what::set_value:
                case what::add_to_value:
                    if (!value_seen()) k.value = {0, value_until};
                    k.value = {does == what::set_value ? a : k.value->value + a,
                               std::max(k.value->until, value_until)};
                    break;
                case what::clear_value: k.value.reset(); break;
                case what::show_value:
                    show(value_seen() ? std::to_string(k.value->value) : "none");
                    if (value_seen()) k.value->until = std::max(k.value->until, value_until);
                    break;
                case what::add_to_list: {
                    timestamp until = fresh(code_.list_ttl, now);
                    if (!k.list.empty()) until = std::max(until, k.list.back().until);
                    k.list.push_back({a, until});
                    break;
                }
                case what::clear_list: k.list.clear(); break;
                case what::show_list: {
                    std::string text = "list";
                    for (auto& e : k.list) {
                        if (!seen(e.until, code_.list_ttl, now)) continue;
                        text += " " + std::to_string(e.value);
                        if (code_.list_refreshed_by_reading) e.until = std::max(e.until, fresh(code_.list_ttl, now));
                    }
                    show(text);
                    break;
                }
                case what::put_into_map: {
                    timestamp until = fresh(code_.map_ttl, map_now);
                    const auto old = k.map.find(a);
                    if (old != k.map.end() && seen(old->second.until, code_.map_ttl, map_now))
                        until = std::max(until, old->second.until);
                    k.map.insert_or_assign(a, aging<int>{b, until});
                    break;
                }
                case what::erase_from_map: k.map.erase(a); break;
                case what::show_map: {
                    std::string text = "map";
                    for (const auto& [key, e] : k.map)
                        if (seen(e.until, code_.map_ttl, map_now))
                            text += " " + std::to_string(key) + "=" + std::to_string(e.value);
                    show(text);
                    break;
                }
                case what::reduce: k.reduced = k.reduced ? (3 * *k.reduced + a) % 1000 : a; break;
                case what::clear_reduced: k.reduced.reset(); break;
                case what::show_reduced: show(k.reduced ? std::to_string(*k.reduced) : "none"); break;
                case what::show_time: show("time"); break;
                case what::set_timer:
                    if (may_set() && !ended_) k.timers.insert({t, b});
                    break;
                case what::cancel_timer: k.timers.erase({t, b}); break;
                case what::set_alarm:
                    if (may_set() && !ended_) k.alarms.insert({alarm, 2});
                    break;
                case what::cancel_alarm: k.alarms.erase({alarm, 2}); break;
            }
        }
    }

    const program& code_;
    std::map<int, of_key> keys_;
    int key_ = 0;
    timestamp watermark_ = timestamp::min();
    timestamp clock_{0};
    bool ended_ = false;
};

/// Results by the key that they begin with, in order.
inline model::results by_key(const std::vector<std::pair<std::string, timestamp>>& all) {
    model::results sorted;
    for (const auto& r : all) sorted[std::stoi(r.first)].push_back(r);
    return sorted;
}

/// "" if there is none.
inline std::string first_difference(const model::results& got, const model::results& expected) {
    for (int key = 0; key < 100; ++key) {
        const auto of = [key](const model::results& all) {
            const auto it = all.find(key);
            return it == all.end() ? model::results::mapped_type() : it->second;
        };
        const auto a = of(got), b = of(expected);
        const auto text = [](const auto& all, std::size_t i) {
            return i < all.size() ? "\"" + all[i].first + "\" at " + to_string(all[i].second) : "nothing";
        };
        for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
            if (text(a, i) != text(b, i))
                return "number " + std::to_string(i) + " is " + text(a, i) + ", but should be " + text(b, i);
    }
    return "";
}

}  // namespace process_language

template <>
struct runnel::codec<process_language::instruction> {
    static void encode(const process_language::instruction& i, std::string& out) {
        codec<int>::encode(i.key, out);
        codec<int>::encode(i.list, out);
        codec<timestamp>::encode(i.at, out);
    }
    static process_language::instruction decode(byte_reader& in) {
        const int key = codec<int>::decode(in);
        const int list = codec<int>::decode(in);
        return {key, list, codec<timestamp>::decode(in)};
    }
};
