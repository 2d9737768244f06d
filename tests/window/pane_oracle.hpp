#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/window/triggers.hpp"
#include "window_oracle.hpp"

// Windows that fire early and late, from the rules alone: raw records, and a look at every window at every tick.

namespace runnel::test {

using paned_result = paned<std::int64_t, std::vector<std::int64_t>>;
using paned_outcome = std::map<std::int64_t, std::vector<paned_result>>;

struct pane_rules {
    firing_rule early{};
    firing_rule late = on_each_record();
    bool discards = false;
    std::int64_t lateness = 0;
};

struct pane_oracle {
    struct entry {
        std::int64_t value, time;
        bool given;
    };
    struct kept {
        std::int64_t key, start, end;
        std::vector<entry> records;
        std::uint64_t fired = 0;
        bool closed = false, on_time = false;
        std::int64_t since() const {
            return std::count_if(records.begin(), records.end(), [](const entry& e) { return !e.given; });
        }
    };
    using gap_function = std::function<std::int64_t(const event&)>;

    window_list windows_of;
    gap_function gap_of;  // for sessions, instead of windows_of
    pane_rules rules;
    std::int64_t watermark = INT64_MIN;
    std::vector<kept> windows;
    std::vector<paned_result> results;
    std::vector<late_record<event>> late;
    /// Longest time after which all is cleared, for the end of the input.
    std::int64_t horizon = 3000;

    pane_oracle(window_list list, pane_rules rules) : windows_of(std::move(list)), rules(rules) {}
    pane_oracle(gap_function gap, pane_rules rules) : gap_of(std::move(gap)), rules(rules) {}

    std::int64_t due(const kept& x) const { return gap_of ? x.end : x.end - 1; }
    std::int64_t cleared(std::int64_t end) const { return end - 1 + rules.lateness; }
    std::int64_t cleared(const kept& x) const { return std::max(due(x), cleared(x.end)); }

    /// Fires with the new records that have a time before `until`; with none, not at all.
    void fire(kept& x, std::int64_t until = INT64_MAX, bool even_empty = true) {
        bool any = false;
        std::vector<std::int64_t> values;
        for (entry& e : x.records) {
            const bool fresh = !e.given && e.time < until;
            any |= fresh;
            if (fresh || (e.given && !rules.discards)) values.push_back(e.value);
        }
        if (!any && !even_empty) return;
        for (entry& e : x.records) e.given |= e.time < until;
        std::sort(values.begin(), values.end());
        const auto timing = !x.closed ? pane_timing::early : x.on_time ? pane_timing::late : pane_timing::on_time;
        x.on_time = x.closed;
        results.push_back({x.key, timestamp(x.start), timestamp(x.end), values, {x.fired++, timing}});
    }

    void take(kept& x, const event& e, std::int64_t t) {
        x.records.push_back({e.value, t, false});
        const firing_rule& rule = x.closed ? rules.late : rules.early;
        if (rule.what == firing_rule::kind::records && x.since() >= rule.records) fire(x);
    }

    void record(const event& e, std::int64_t t) {
        if (gap_of) return record_in_session(e, t);
        bool has_window = false, taken = false;
        for (const auto& [start, end] : windows_of(t)) {
            has_window = true;
            if (cleared(end) <= watermark) continue;
            taken = true;
            auto x = std::find_if(windows.begin(), windows.end(), [&, s = start, n = end](const kept& y) {
                return y.key == e.key && y.start == s && y.end == n;
            });
            if (x == windows.end()) {
                x = windows.insert(x, kept{e.key, start, end, {}});
                x->closed = due(*x) <= watermark;
            }
            take(*x, e, t);
        }
        if (has_window && !taken)
            late.push_back({e, timestamp(t), timestamp(watermark), late_reason::window_cleared});
    }
    void record_in_session(const event& e, std::int64_t t) {
        kept all{e.key, t, t + gap_of(e), {}};
        const std::int64_t opened_end = all.end;
        auto touches = [&](const kept& x) { return x.key == e.key && x.start <= opened_end && t <= x.end; };
        for (const kept& x : windows) {
            if (!touches(x)) continue;
            all.start = std::min(all.start, x.start);
            all.end = std::max(all.end, x.end);
            all.fired = std::max(all.fired, x.fired);
            all.records.insert(all.records.end(), x.records.begin(), x.records.end());
        }
        if (cleared(all.end) <= watermark) {
            late.push_back({e, timestamp(t), timestamp(watermark), late_reason::session_cleared});
            return;
        }
        all.closed = due(all) <= watermark;
        for (const kept& x : windows)
            if (touches(x) && x.start == all.start && x.end == all.end) all.on_time = x.on_time;
        std::erase_if(windows, touches);
        windows.push_back(all);
        take(windows.back(), e, t);
    }

    static bool is_multiple(std::int64_t t, duration period) { return t % period.count() == 0; }

    void advance(std::int64_t w) {
        std::int64_t from = watermark;
        if (from == INT64_MIN) from = -horizon;
        for (std::int64_t at = from + 1; at <= std::min(w, horizon); ++at) {
            std::sort(windows.begin(), windows.end(),
                      [](auto& a, auto& b) { return std::tie(a.end, a.start) < std::tie(b.end, b.start); });
            for (kept& x : windows) {
                if (!x.closed && due(x) == at) {
                    x.closed = true;
                    fire(x);
                } else if (!x.closed && rules.early.what == firing_rule::kind::event_time &&
                           is_multiple(at + 1, rules.early.period)) {
                    fire(x, at + 1, false);
                } else if (x.closed && rules.late.what == firing_rule::kind::event_time && cleared(x) != at &&
                           is_multiple(at + 1, rules.late.period)) {
                    fire(x, INT64_MAX, false);
                }
                if (x.closed && cleared(x) == at) fire(x, INT64_MAX, false);
            }
            std::erase_if(windows, [&](const kept& x) { return x.closed && cleared(x) <= at; });
        }
        watermark = w;
    }
};

}  // namespace runnel::test
