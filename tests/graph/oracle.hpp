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

/// Key, start, end, count, sum, min, max.
using result = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
/// Key, value, time.
using late = std::tuple<int64_t, int64_t, int64_t>;

enum class window_kind { tumbling, sliding, session };

struct window_rule {
    window_kind kind = window_kind::tumbling;
    int64_t size = 10, slide = 10, offset = 0;  ///< For sessions `size` is the gap.
    int64_t lateness = 0;
};

struct outcome {
    std::vector<result> results;
    std::vector<late> late_records;
};

inline int64_t floor_mod(int64_t a, int64_t b) { return ((a % b) + b) % b; }

/// All windows [start, end) of a rule, sessions aside, that contain t.
inline std::vector<std::pair<int64_t, int64_t>> windows_of(const window_rule& rule, int64_t t) {
    std::vector<std::pair<int64_t, int64_t>> found;
    for (int64_t start = t - floor_mod(t - rule.offset, rule.slide); start > t - rule.size; start -= rule.slide)
        found.emplace_back(start, start + rule.size);
    std::reverse(found.begin(), found.end());
    return found;
}

/// Keyed windows over records that come one by one, each behind the watermark that the records before it have made.
class windows {
public:
    explicit windows(window_rule rule) : rule_(rule) {}

    void advance(int64_t w) {
        watermark_ = std::max(watermark_, w);
        std::vector<std::tuple<int64_t, int64_t, pane*>> due;  // end, key
        for (auto& [key, panes] : keys_)
            for (pane& p : panes)
                if (!p.fired && due_at(p) <= watermark_) due.emplace_back(p.end, key, &p);
        std::sort(due.begin(), due.end());
        for (auto& [end, key, p] : due) fire(key, *p);
        for (auto& [key, panes] : keys_)
            std::erase_if(panes, [&](const pane& p) { return p.fired && p.end - 1 + rule_.lateness <= watermark_; });
    }

    void add(const rec& r) {
        const int64_t t = r.at.ns();
        std::vector<pane>& panes = keys_[r.key];
        if (rule_.kind == window_kind::session) {
            pane merged{t, t + rule_.size, {r.value}, false};
            auto touches = [&](const pane& p) { return p.start <= merged.end && merged.start <= p.end; };
            pane all = merged;
            for (const pane& p : panes)
                if (touches(p)) {
                    all.start = std::min(all.start, p.start);
                    all.end = std::max(all.end, p.end);
                    all.values.insert(all.values.end(), p.values.begin(), p.values.end());
                }
            if (all.end - 1 + rule_.lateness <= watermark_) return too_late(r);
            std::erase_if(panes, touches);
            panes.push_back(all);
            if (due_at(all) <= watermark_) fire(r.key, panes.back());
            return;
        }
        const auto all = windows_of(rule_, t);
        bool taken = all.empty();  // A record between windows has none, and is not late.
        for (const auto& [start, end] : all) {
            if (end - 1 + rule_.lateness <= watermark_) continue;
            taken = true;
            auto p = std::find_if(panes.begin(), panes.end(), [&, s = start](const pane& x) { return x.start == s; });
            if (p == panes.end()) p = panes.insert(p, {start, end, {}, false});
            p->values.push_back(r.value);
            if (end - 1 <= watermark_) fire(r.key, *p);
        }
        if (!taken) too_late(r);
    }

    outcome out;

private:
    struct pane {
        int64_t start, end;
        std::vector<int64_t> values;
        bool fired;
    };

    /// A session's end still belongs to it, in that a record there, which may come while w = end - 1, joins it.
    int64_t due_at(const pane& p) const { return rule_.kind == window_kind::session ? p.end : p.end - 1; }

    void fire(int64_t key, pane& p) {
        p.fired = true;
        int64_t sum = 0;
        for (int64_t v : p.values) sum += v;
        out.results.emplace_back(key, p.start, p.end, p.values.size(), sum,
                                 *std::min_element(p.values.begin(), p.values.end()),
                                 *std::max_element(p.values.begin(), p.values.end()));
    }
    void too_late(const rec& r) { out.late_records.emplace_back(r.key, r.value, r.at.ns()); }

    window_rule rule_;
    int64_t watermark_ = std::numeric_limits<int64_t>::min();
    std::map<int64_t, std::vector<pane>> keys_;
};

}  // namespace oracle
