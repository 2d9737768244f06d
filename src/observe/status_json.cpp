#include <boost/describe/class.hpp>

#include <algorithm>
#include <map>
#include <optional>

#include "page_site.hpp"
#include "runnel/codec/json.hpp"
#include "unique_names.hpp"

// {"jobs": [{...}]}: the members below. Times are seconds since 1970, lengths of time are seconds, shares are 0 to 1;
// what is not known is null. `at` is the moment of the picture: rates are differences of two pictures.
namespace runnel::observe::detail {
namespace {

using number = std::optional<double>;

/// How many durations were at most as long as the bound, and longer than the one before; only up to the last that has
/// some. Without a bound: above all.
struct bucket_json {
    number up_to;
    std::uint64_t count = 0;
};
BOOST_DESCRIBE_STRUCT(bucket_json, (), (up_to, count))

struct histogram_json {
    std::uint64_t count = 0;
    double sum = 0;
    number half, most, all;
    std::vector<bucket_json> buckets;
};
BOOST_DESCRIBE_STRUCT(histogram_json, (), (count, sum, half, most, all, buckets))

struct subtask_json {
    std::uint64_t records_in = 0, records_out = 0;
    number watermark;
    std::string held_by;
    double busy = 0, blocked = 0, idle = 0, queue_fill = 0;
};
BOOST_DESCRIBE_STRUCT(subtask_json, (), (records_in, records_out, watermark, held_by, busy, blocked, idle, queue_fill))

struct operator_json {
    std::string name, kind, detail;
    std::vector<std::size_t> inputs;
    bool is_chained = false;
    std::uint64_t records_in = 0, records_out = 0, late_dropped = 0, skipped = 0;
    number watermark;
    bool has_event_time = false, is_ended = false;
    std::string held_by;
    number held_for;
    double queue_fill = 0;
    /// Over all subtasks, since the start.
    double busy = 0, blocked = 0, idle = 0;
    std::optional<std::uint64_t> state_bytes;
    std::optional<std::int64_t> keys, bytes;
    std::string trouble;
    std::optional<std::uint64_t> lag;
    std::map<std::string, std::uint64_t> lag_by_split;
    std::optional<histogram_json> latency;
    std::vector<subtask_json> subtasks;
};
BOOST_DESCRIBE_STRUCT(operator_json, (),
                      (name, kind, detail, inputs, is_chained, records_in, records_out, late_dropped, skipped,
                       watermark, has_event_time, is_ended, held_by, held_for, queue_fill, busy, blocked, idle,
                       state_bytes, keys, bytes, trouble, lag, lag_by_split, latency, subtasks))

struct bad_record_json {
    std::string where, why, raw;
};
BOOST_DESCRIBE_STRUCT(bad_record_json, (), (where, why, raw))

struct checkpoints_json {
    std::uint64_t completed = 0, failed = 0, restarts = 0, newest = 0;
    number took, completed_at;
    std::uint64_t bytes = 0;
    std::string last_failure;
    histogram_json durations;
};
BOOST_DESCRIBE_STRUCT(checkpoints_json, (),
                      (completed, failed, restarts, newest, took, completed_at, bytes, last_failure, durations))

struct job_json {
    std::string name, state;
    double at = 0, running_for = 0;
    std::string failure;
    std::uint64_t memory_budget = 0, memory_reserved = 0;
    std::vector<operator_json> operators;
    std::vector<bad_record_json> bad_records, late_records;
    checkpoints_json checkpoints;
};
BOOST_DESCRIBE_STRUCT(job_json, (),
                      (name, state, at, running_for, failure, memory_budget, memory_reserved, operators, bad_records,
                       late_records, checkpoints))

struct jobs_json {
    std::vector<job_json> jobs;
};
BOOST_DESCRIBE_STRUCT(jobs_json, (), (jobs))

double seconds(duration d) { return std::chrono::duration<double>(d).count(); }
double seconds(timestamp t) { return seconds(t.since_epoch()); }
number real_seconds(timestamp t) {
    return t == timestamp::min() || t == timestamp::max() ? number() : number(seconds(t));
}

histogram_json of(const duration_counts& c) {
    histogram_json h;
    h.count = c.count();
    h.sum = seconds(c.sum);
    if (h.count == 0) return h;
    const auto bound = [&](double share) {
        const duration d = c.quantile(share);
        return d == duration::max() ? number() : number(seconds(d));
    };
    h.half = bound(0.5);
    h.most = bound(0.99);
    h.all = bound(1);
    std::size_t last = c.counts.size();
    while (c.counts[last - 1] == 0) --last;
    for (std::size_t i = 0; i < last; ++i)
        h.buckets.push_back({i == duration_counts::bound_count ? number() : seconds(duration_counts::bound(i)),
                             c.counts[i]});
    return h;
}

operator_json of(const operator_status& o, const job_status& j) {
    operator_json out;
    out.name = o.name;
    out.kind = o.kind;
    out.detail = o.detail;
    out.inputs = o.inputs;
    out.is_chained = o.is_chained;
    out.records_in = o.records_in;
    out.records_out = o.records_out;
    out.late_dropped = o.late_dropped;
    out.skipped = o.skipped;
    out.watermark = real_seconds(o.watermark);
    out.has_event_time = o.has_event_time;
    out.is_ended = o.watermark == timestamp::max();
    out.held_by = o.held_by;
    if (!o.held_by.empty()) out.held_for = std::max(0.0, seconds(j.at - o.held_since));
    out.queue_fill = o.queue_fill;
    for (const subtask_status& s : o.subtasks) {
        out.busy += seconds(s.busy);
        out.blocked += seconds(s.blocked);
        out.idle += seconds(s.idle);
        out.subtasks.push_back({s.records_in, s.records_out, real_seconds(s.watermark), s.held_by, seconds(s.busy),
                                seconds(s.blocked), seconds(s.idle), s.queue_fill});
    }
    if (const auto at = j.checkpoints.bytes_by_operator.find(o.name); at != j.checkpoints.bytes_by_operator.end())
        out.state_bytes = at->second;
    if (o.keys >= 0) out.keys = o.keys;
    if (o.bytes >= 0) out.bytes = o.bytes;
    out.trouble = o.trouble;
    out.lag = o.lag;
    out.lag_by_split = o.lag_by_split;
    if (o.kind == "sink") out.latency = of(o.latency);
    return out;
}

job_json of(const job_status& j) {
    job_json out;
    constexpr const char* states[] = {"running", "finished", "failed", "cancelled", "restarting"};
    out.state = states[static_cast<std::size_t>(j.state)];
    out.at = seconds(j.at);
    out.running_for = seconds(j.running_for);
    out.failure = j.failure;
    out.memory_budget = j.memory_budget;
    out.memory_reserved = j.memory_reserved;
    for (const operator_status& o : j.operators) out.operators.push_back(of(o, j));
    for (const bad_record& b : j.bad_records) out.bad_records.push_back({b.where, b.why, b.raw});
    for (const bad_record& b : j.late_records) out.late_records.push_back({b.where, b.why, b.raw});
    const checkpoint_status& c = j.checkpoints;
    out.checkpoints = {c.completed, c.failed, c.restarts, c.newest, {}, real_seconds(c.completed_at), c.bytes,
                       c.last_failure, of(c.durations)};
    if (c.newest != 0) out.checkpoints.took = seconds(c.took);
    return out;
}

}  // namespace

std::string to_json(const std::vector<job_status>& jobs) {
    jobs_json all;
    std::vector<std::string> names = unique_names(jobs);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        all.jobs.push_back(of(jobs[i]));
        all.jobs.back().name = std::move(names[i]);
    }
    std::string text;
    append_json(text, all);
    return text;
}

}  // namespace runnel::observe::detail
