#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "runnel/core/timestamp.hpp"

/// A sequential model of what a graph must give, written from the rules and not from the code: one record after the
/// other, windows as lists of raw records, everything recomputed.
namespace oracle {

using std::int64_t;

struct rec {
    int64_t key;
    int64_t value;
    runnel::timestamp at;
};

/// Key, start, end, count, sum, min, max, pane (three times its index, plus its timing; 0 if it has none).
using result = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
/// Key, value, time.
using late = std::tuple<int64_t, int64_t, int64_t>;

enum class window_kind { tumbling, sliding, session, cumulative, dynamic_session, global, count };

struct window_rule {
    window_kind kind = window_kind::tumbling;
    /// For sessions `size` is the (smallest) gap; for cumulative windows `slide` is the step; of counts: records.
    int64_t size = 10, slide = 10, offset = 0;
    int64_t lateness = 0;
    bool panes = false;         ///< Fires early too, and results carry their pane.
    int64_t early_every = 0;    ///< Of event time; 0: not.
    int64_t early_records = 0;  ///< 0: not.
    bool discards = false;

    bool is_session() const { return kind == window_kind::session || kind == window_kind::dynamic_session; }
    bool is_late_free() const { return kind == window_kind::global || kind == window_kind::count; }
};

struct outcome {
    std::vector<result> results;
    std::vector<late> late_records;
};

inline int64_t floor_mod(int64_t a, int64_t b) { return ((a % b) + b) % b; }

/// All windows [start, end) of a rule, sessions aside, that contain t.
inline std::vector<std::pair<int64_t, int64_t>> windows_of(const window_rule& rule, int64_t t) {
    std::vector<std::pair<int64_t, int64_t>> found;
    if (rule.kind == window_kind::global)
        return {{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}};
    if (rule.kind == window_kind::cumulative) {
        const int64_t start = t - floor_mod(t - rule.offset, rule.size);
        for (int64_t end = start + rule.slide; end <= start + rule.size; end += rule.slide)
            if (t < end) found.emplace_back(start, end);
        return found;
    }
    for (int64_t start = t - floor_mod(t - rule.offset, rule.slide); start > t - rule.size; start -= rule.slide)
        found.emplace_back(start, start + rule.size);
    std::reverse(found.begin(), found.end());
    return found;
}

inline int64_t gap_of(const window_rule& rule, const rec& r) {
    return rule.kind == window_kind::dynamic_session ? rule.size + floor_mod(r.value, 7) : rule.size;
}

/// Keyed windows over records that come one by one, each behind the watermark that the records before it have made.
class windows {
public:
    explicit windows(window_rule rule) : rule_(rule) {}

    void advance(int64_t w) {
        w = std::max(watermark_, w);
        for (;;) {
            int64_t at = std::numeric_limits<int64_t>::max();
            bool any = false;
            for (auto& [key, all] : keys_)
                for (const kept& k : all) at = std::min(at, next_event(k)), any = true;
            if (!any || at > w) break;
            std::vector<std::tuple<int64_t, int64_t, int64_t, kept*>> here;  // end, start, key
            for (auto& [key, all] : keys_)
                for (kept& k : all)
                    if (next_event(k) == at) here.emplace_back(k.end, k.start, key, &k);
            std::sort(here.begin(), here.end());
            for (auto& [end, start, key, k] : here) {
                if (!k->closed && due_at(*k) == at) {
                    k->closed = true;
                    fire(key, *k);
                } else if (!k->closed) {
                    fire(key, *k, at);
                }
            }
            for (auto& [key, all] : keys_)
                std::erase_if(all, [&](const kept& k) { return k.closed && cleared_at(k) <= at; });
        }
        watermark_ = w;
    }

    void add(const rec& r) {
        const int64_t t = r.at.ns();
        std::vector<kept>& all = keys_[r.key];
        if (rule_.kind == window_kind::count) return add_to_count(r);
        if (rule_.is_session()) {
            kept merged{t, t + gap_of(rule_, r), {}};
            const int64_t opened_end = merged.end;
            auto touches = [&](const kept& k) { return k.start <= opened_end && t <= k.end; };
            for (const kept& k : all)
                if (touches(k)) {
                    merged.start = std::min(merged.start, k.start);
                    merged.end = std::max(merged.end, k.end);
                    merged.fired = std::max(merged.fired, k.fired);
                    merged.values.insert(merged.values.end(), k.values.begin(), k.values.end());
                }
            if (merged.end - 1 + rule_.lateness <= watermark_) return too_late(r);
            merged.closed = due_at(merged) <= watermark_;
            for (const kept& k : all)
                if (k.start == merged.start && k.end == merged.end) merged.on_time = k.on_time;
            std::erase_if(all, touches);
            all.push_back(merged);
            return take(r, all.back());
        }
        const auto found = windows_of(rule_, t);
        bool taken = found.empty();  // A record between windows has none, and is not late.
        for (const auto& [start, end] : found) {
            if (end - 1 + rule_.lateness <= watermark_) continue;
            taken = true;
            auto k = std::find_if(all.begin(), all.end(),
                                  [&, s = start, e = end](const kept& x) { return x.start == s && x.end == e; });
            if (k == all.end()) {
                k = all.insert(k, {start, end, {}});
                k->closed = due_at(*k) <= watermark_;
            }
            take(r, *k);
        }
        if (!taken) too_late(r);
    }

    outcome out;

private:
    struct value {
        int64_t value;
        int64_t ready;  ///< The watermark at which an early result by event time may hold it.
        bool given;
    };
    struct kept {
        int64_t start, end;
        std::vector<value> values;
        int64_t fired = 0;
        bool closed = false, on_time = false;
    };

    /// A session's end still belongs to it, in that a record there, which may come while w = end - 1, joins it.
    int64_t due_at(const kept& k) const {
        return rule_.is_session() || rule_.kind == window_kind::global ? k.end : k.end - 1;
    }
    int64_t cleared_at(const kept& k) const { return std::max(due_at(k), k.end - 1 + rule_.lateness); }
    int64_t next_event(const kept& k) const {
        if (k.closed) return cleared_at(k);
        int64_t next = due_at(k);
        if (rule_.early_every != 0)
            for (const value& v : k.values)
                if (!v.given) next = std::min(next, v.ready);
        return next;
    }

    void take(const rec& r, kept& k) {
        int64_t ready = 0;
        if (rule_.early_every != 0) {
            const int64_t after = std::max(r.at.ns(), watermark_ + 1);
            ready = after + (rule_.early_every - floor_mod(after, rule_.early_every)) - 1;
        }
        k.values.push_back({r.value, ready, false});
        const auto fresh = std::count_if(k.values.begin(), k.values.end(), [](const value& v) { return !v.given; });
        if (k.closed || (rule_.early_records != 0 && fresh >= rule_.early_records)) fire(r.key, k);
    }

    /// With the values given before and those that are ready at `at`.
    void fire(int64_t key, kept& k, int64_t at = std::numeric_limits<int64_t>::max()) {
        std::vector<int64_t> values;
        for (value& v : k.values) {
            const bool fresh = !v.given && (v.ready <= at || rule_.early_every == 0);
            if (fresh || (v.given && !rule_.discards)) values.push_back(v.value);
            v.given |= fresh;
        }
        const int64_t timing = !k.closed ? 0 : k.on_time ? 2 : 1;
        k.on_time = k.closed;
        give(key, k.start, k.end, values, rule_.panes ? 3 * k.fired++ + timing : 0);
    }
    void give(int64_t key, int64_t start, int64_t end, const std::vector<int64_t>& values, int64_t pane) {
        int64_t sum = 0, low = 0, high = 0;
        for (int64_t v : values) sum += v;
        if (!values.empty()) {
            low = *std::min_element(values.begin(), values.end());
            high = *std::max_element(values.begin(), values.end());
        }
        out.results.emplace_back(key, start, end, values.size(), sum, low, high, pane);
    }
    void add_to_count(const rec& r) {
        std::vector<int64_t>& all = counted_[r.key];
        all.push_back(r.value);
        const auto n = static_cast<int64_t>(all.size());
        if (n % rule_.slide != 0) return;
        give(r.key, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(),
             {all.begin() + std::max<int64_t>(0, n - rule_.size), all.end()}, 0);
    }
    void too_late(const rec& r) { out.late_records.emplace_back(r.key, r.value, r.at.ns()); }

    window_rule rule_;
    int64_t watermark_ = std::numeric_limits<int64_t>::min();
    std::map<int64_t, std::vector<kept>> keys_;
    std::map<int64_t, std::vector<int64_t>> counted_;
};

}  // namespace oracle
