#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/window/window.hpp"

// Window operators as one would write them without a thought for speed: raw records per window, kept in maps and
// looked through at every step. Times stay small, so that plain integers do.

namespace runnel::test {

struct event {
    std::int64_t key;
    std::int64_t value;
    friend bool operator==(const event&, const event&) = default;
};

/// All values of a window, sorted: shows each lost, doubled or misplaced record.
struct bag {
    struct state {
        std::vector<std::int64_t> values;
    };
    state create() const { return {}; }
    void add(state& s, const event& e) const { s.values.push_back(e.value); }
    void merge(state& s, const state& other) const {
        s.values.insert(s.values.end(), other.values.begin(), other.values.end());
    }
    std::vector<std::int64_t> result(const state& s) const {
        auto sorted = s.values;
        std::sort(sorted.begin(), sorted.end());
        return sorted;
    }
};

using bag_result = windowed<std::int64_t, std::vector<std::int64_t>>;

/// What an operator has given for one key, in order.
using outcome = std::map<std::int64_t, std::vector<bag_result>>;

/// One step of a stream: a record, or a watermark.
struct step {
    bool is_watermark;
    std::int64_t time;
    event record;
};

struct oracle_base {
    std::int64_t watermark = INT64_MIN;
    std::int64_t lateness = 0;
    std::vector<bag_result> results;
    std::vector<late_record<event>> late;

    void fire(std::int64_t key, std::int64_t start, std::int64_t end, const std::vector<std::int64_t>& values) {
        auto sorted = values;
        std::sort(sorted.begin(), sorted.end());
        results.push_back({key, timestamp(start), timestamp(end), sorted});
    }
    bool is_complete(std::int64_t end) const { return end - 1 <= watermark; }
    bool is_cleared(std::int64_t end) const { return end - 1 + lateness <= watermark; }
};

/// All windows [start, end) that contain a time, in order of their end.
using window_list = std::function<std::vector<std::pair<std::int64_t, std::int64_t>>(std::int64_t)>;

inline window_list sliding_list(std::int64_t size, std::int64_t slide, std::int64_t offset) {
    return [=](std::int64_t t) {
        std::vector<std::pair<std::int64_t, std::int64_t>> found;
        for (std::int64_t start = t - size + 1; start <= t; ++start)
            if ((start - offset) % slide == 0) found.emplace_back(start, start + size);
        return found;
    };
}

inline window_list cumulative_list(std::int64_t max_size, std::int64_t step, std::int64_t offset) {
    return [=](std::int64_t t) {
        std::vector<std::pair<std::int64_t, std::int64_t>> found;
        std::int64_t start = t;
        while ((start - offset) % max_size != 0) --start;
        for (std::int64_t end = start + step; end <= start + max_size; end += step)
            if (t < end) found.emplace_back(start, end);
        return found;
    };
}

struct grid_oracle : oracle_base {
    window_list windows_of;
    std::uint64_t without_window = 0;
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, std::vector<std::int64_t>> windows;  // end, start, key

    grid_oracle(window_list windows_of, std::int64_t lateness) : windows_of(std::move(windows_of)) {
        this->lateness = lateness;
    }
    grid_oracle(std::int64_t size, std::int64_t slide, std::int64_t offset, std::int64_t lateness)
        : grid_oracle(sliding_list(size, slide, offset), lateness) {}

    void record(const event& e, std::int64_t t) {
        bool has_window = false, taken = false;
        for (const auto& [start, end] : windows_of(t)) {
            has_window = true;
            if (is_cleared(end)) continue;
            taken = true;
            auto& values = windows[{end, start, e.key}];
            values.push_back(e.value);
            if (is_complete(end)) fire(e.key, start, end, values);
        }
        without_window += !has_window;
        if (has_window && !taken)
            late.push_back({e, timestamp(t), timestamp(watermark), late_reason::window_cleared});
    }
    void advance(std::int64_t w) {
        for (auto& [at, values] : windows) {
            const auto [end, start, key] = at;
            if (!is_complete(end) && end - 1 <= w) fire(key, start, end, values);
        }
        watermark = w;
        std::erase_if(windows, [&](auto& each) { return is_cleared(std::get<0>(each.first)); });
    }
};

struct session_oracle : oracle_base {
    struct session {
        std::int64_t key, start, end;
        std::vector<std::int64_t> values;
    };
    std::int64_t gap;
    std::vector<session> sessions;

    session_oracle(std::int64_t gap, std::int64_t lateness) : gap(gap) { this->lateness = lateness; }

    /// A record at the end of a session still joins it, so a session is complete a tick later than other windows.
    bool is_session_complete(std::int64_t end) const { return end <= watermark; }

    void record(const event& e, std::int64_t t) {
        session merged{e.key, t, t + gap, {}};
        auto touches = [&](const session& s) { return s.key == e.key && s.start <= t + gap && t <= s.end; };
        for (const session& s : sessions) {
            if (!touches(s)) continue;
            merged.start = std::min(merged.start, s.start);
            merged.end = std::max(merged.end, s.end);
            merged.values.insert(merged.values.end(), s.values.begin(), s.values.end());
        }
        if (is_cleared(merged.end)) {
            late.push_back({e, timestamp(t), timestamp(watermark), late_reason::session_cleared});
            return;
        }
        std::erase_if(sessions, touches);
        merged.values.push_back(e.value);
        if (is_session_complete(merged.end)) fire(merged.key, merged.start, merged.end, merged.values);
        sessions.push_back(merged);
    }
    void advance(std::int64_t w) {
        std::sort(sessions.begin(), sessions.end(), [](auto& a, auto& b) { return a.end < b.end; });
        for (const session& s : sessions)
            if (!is_session_complete(s.end) && s.end <= w) fire(s.key, s.start, s.end, s.values);
        watermark = w;
        std::erase_if(sessions, [&](auto& s) { return is_session_complete(s.end) && is_cleared(s.end); });
    }
};

struct stream_options {
    std::int64_t from = -300;
    std::int64_t to = 300;
    std::size_t records = 300;
    std::int64_t keys = 5;
    std::int64_t disorder = 20;     // how far times scatter behind the front
    std::int64_t late_percent = 15;  // records with a time anywhere before
    std::int64_t watermark_percent = 15;
};

/// Records whose times drift from `from` to `to`, with watermarks in between that some of them break.
inline std::vector<step> random_stream(std::mt19937_64& random, const stream_options& o) {
    auto below = [&](std::int64_t n) {
        return n <= 0 ? 0 : static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    std::vector<step> steps;
    std::int64_t last_watermark = INT64_MIN;
    for (std::size_t i = 0; i != o.records; ++i) {
        const auto n = static_cast<std::int64_t>(o.records);
        const std::int64_t front = o.from + (o.to - o.from) * static_cast<std::int64_t>(i) / n;
        std::int64_t t = front - below(o.disorder);
        if (below(100) < o.late_percent) t = front - below(front - o.from + 50);
        steps.push_back({false, t, {below(o.keys), static_cast<std::int64_t>(i)}});
        if (below(100) < o.watermark_percent) {
            const std::int64_t w = front - o.disorder + below(o.disorder + 10);
            if (w > last_watermark) steps.push_back({true, w, {}});
            last_watermark = std::max(last_watermark, w);
        }
    }
    return steps;
}

template <class Result>
auto by_key(const std::vector<Result>& results) {
    std::map<std::int64_t, std::vector<Result>> sorted;
    for (const Result& r : results) sorted[r.key].push_back(r);
    return sorted;
}

template <class Result>
bool in_order_of_end(const std::vector<Result>& results) {
    return std::is_sorted(results.begin(), results.end(), [](auto& a, auto& b) { return a.end < b.end; });
}

}  // namespace runnel::test

template <>
struct runnel::codec<runnel::test::bag::state> {
    static void encode(const test::bag::state& s, std::string& out) {
        codec<std::uint64_t>::encode(s.values.size(), out);
        for (auto v : s.values) codec<std::int64_t>::encode(v, out);
    }
    static test::bag::state decode(byte_reader& in) {
        test::bag::state s;
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n)
            s.values.push_back(codec<std::int64_t>::decode(in));
        return s;
    }
};
