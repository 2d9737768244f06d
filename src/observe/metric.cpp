#include "runnel/observe/metric.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "unique_names.hpp"

namespace runnel::observe {
namespace {

double seconds(duration d) { return std::chrono::duration<double>(d).count(); }
double seconds(timestamp t) { return seconds(t.since_epoch()); }

constexpr bool is_real(timestamp t) { return t != timestamp::min() && t != timestamp::max(); }

/// What fails at an operator of that kind when a record is left out.
std::string_view reason_of(const operator_status& o) {
    if (o.inputs.empty()) return "decode";
    return o.kind == "sink" ? "write" : "process";
}

std::string_view name_of(job_state s) {
    switch (s) {
        case job_state::running: return "running";
        case job_state::finished: return "finished";
        case job_state::failed: return "failed";
        case job_state::cancelled: return "cancelled";
        case job_state::restarting: return "restarting";
    }
    return "unknown";
}

class visit {
public:
    visit(const std::vector<job_status>& jobs, const std::function<void(const metric&)>& f)
        : jobs_(jobs), names_(detail::unique_names(jobs)), f_(f) {
        std::size_t most = 0;
        for (const job_status& j : jobs)
            for (const operator_status& o : j.operators) most = std::max(most, o.subtasks.size());
        for (std::size_t i = 0; i < most; ++i) numbers_.push_back(std::to_string(i));
    }

    void all() {
        job_figures();
        checkpoint_figures();
        operator_figures();
    }

private:
    void begin(std::string_view name, metric_kind kind, std::string_view help) {
        now_.name = name;
        now_.kind = kind;
        now_.help = help;
    }
    void show(double value) {
        now_.value = value;
        f_(now_);
    }
    template <class F>
    void each_job(F f) {
        for (std::size_t i = 0; i < jobs_.size(); ++i) {
            now_.labels.assign({{"pipeline", names_[i]}});
            f(jobs_[i]);
        }
    }
    template <class F>
    void each_operator(F f) {
        each_job([&](const job_status& j) {
            for (const operator_status& o : j.operators) {
                now_.labels.resize(1);
                now_.labels.emplace_back("operator", o.name);
                f(j, o);
            }
        });
    }
    template <class F>
    void each_subtask(F f) {
        each_operator([&](const job_status& j, const operator_status& o) {
            for (std::size_t i = 0; i < o.subtasks.size(); ++i) {
                now_.labels.resize(2);
                now_.labels.emplace_back("subtask", numbers_[i]);
                f(j, o, o.subtasks[i]);
            }
        });
    }
    template <class F>
    void job_gauge(std::string_view name, std::string_view help, F value) {
        begin(name, metric_kind::gauge, help);
        each_job([&](const job_status& j) { show(value(j)); });
    }
    template <class F>
    void subtask_counter(std::string_view name, std::string_view help, F value) {
        begin(name, metric_kind::counter, help);
        each_subtask([&](const job_status&, const operator_status& o, const subtask_status& s) {
            if (const auto v = value(o, s)) show(*v);
        });
    }
    void histogram(const duration_counts& counts) {
        now_.counts = &counts;
        f_(now_);
        now_.counts = nullptr;
    }

    void job_figures() {
        begin("runnel_job_state", metric_kind::gauge, "1 for the state that the job is in, 0 for the others.");
        each_job([&](const job_status& j) {
            for (job_state s : {job_state::running, job_state::finished, job_state::failed, job_state::cancelled,
                                job_state::restarting}) {
                now_.labels.resize(1);
                now_.labels.emplace_back("state", name_of(s));
                show(j.state == s ? 1 : 0);
            }
        });
        job_gauge("runnel_job_uptime_seconds", "Time since the start, or from the start to the end.",
                  [](const job_status& j) { return seconds(j.running_for); });
        begin("runnel_job_restarts_total", metric_kind::counter, "How often the job has gone on after a failure.");
        each_job([&](const job_status& j) { show(static_cast<double>(j.checkpoints.restarts)); });
        job_gauge("runnel_memory_budget_bytes", "Memory that the channels between operators may take, as asked.",
                  [](const job_status& j) { return static_cast<double>(j.memory_budget); });
        job_gauge("runnel_memory_reserved_bytes", "Memory that the channels between operators can take at most.",
                  [](const job_status& j) { return static_cast<double>(j.memory_reserved); });
    }

    void checkpoint_figures() {
        begin("runnel_checkpoints_completed_total", metric_kind::counter,
              "Checkpoints that are durable and committed.");
        each_job([&](const job_status& j) { show(static_cast<double>(j.checkpoints.completed)); });
        begin("runnel_checkpoints_failed_total", metric_kind::counter, "Checkpoints that have failed.");
        each_job([&](const job_status& j) { show(static_cast<double>(j.checkpoints.failed)); });
        begin("runnel_checkpoint_duration_seconds", metric_kind::histogram,
              "Time of a checkpoint from its beginning until its output was visible.");
        each_job([&](const job_status& j) { histogram(j.checkpoints.durations); });
        begin("runnel_checkpoint_last_size_bytes", metric_kind::gauge, "State in the newest checkpoint.");
        each_completed([&](const checkpoint_status& c) { show(static_cast<double>(c.bytes)); });
        begin("runnel_checkpoint_last_duration_seconds", metric_kind::gauge, "Time that the newest checkpoint took.");
        each_completed([&](const checkpoint_status& c) { show(seconds(c.took)); });
        begin("runnel_checkpoint_last_completed_timestamp_seconds", metric_kind::gauge,
              "When the newest checkpoint was complete, in seconds since 1970.");
        each_completed([&](const checkpoint_status& c) { show(seconds(c.completed_at)); });
        begin("runnel_state_size_bytes", metric_kind::gauge, "State of an operator in the newest checkpoint.");
        each_operator([&](const job_status& j, const operator_status& o) {
            const auto& sizes = j.checkpoints.bytes_by_operator;
            if (const auto at = sizes.find(o.name); at != sizes.end()) show(static_cast<double>(at->second));
        });
    }
    template <class F>
    void each_completed(F f) {
        each_job([&](const job_status& j) {
            if (j.checkpoints.newest != 0) f(j.checkpoints);
        });
    }

    void operator_figures() {
        begin("runnel_state_keys", metric_kind::gauge, "Keys that have state now, where that is known.");
        each_subtask([&](const job_status&, const operator_status&, const subtask_status& s) {
            if (s.keys >= 0) show(static_cast<double>(s.keys));
        });
        using number = std::optional<double>;
        subtask_counter("runnel_records_in_total", "Records that have come in.",
                        [](const operator_status& o, const subtask_status& s) {
                            return o.inputs.empty() ? number() : number(static_cast<double>(s.records_in));
                        });
        subtask_counter("runnel_records_out_total", "Records that have been sent on, by the main output.",
                        [](const operator_status& o, const subtask_status& s) {
                            return o.kind == "sink" ? number() : number(static_cast<double>(s.records_out));
                        });
        subtask_counter("runnel_late_records_dropped_total",
                        "Records that were late for every window and had no late output to go to.",
                        [](const operator_status& o, const subtask_status& s) {
                            return o.inputs.empty() ? number() : number(static_cast<double>(s.late_dropped));
                        });
        subtask_counter("runnel_bytes_in_total", "Bytes that a source has read, where that is known.",
                        [](const operator_status& o, const subtask_status& s) {
                            return !o.inputs.empty() || s.bytes < 0 ? number() : number(static_cast<double>(s.bytes));
                        });
        subtask_counter("runnel_bytes_out_total", "Bytes that a sink has written, where that is known.",
                        [](const operator_status& o, const subtask_status& s) {
                            return o.inputs.empty() || s.bytes < 0 ? number() : number(static_cast<double>(s.bytes));
                        });
        begin("runnel_in_trouble", metric_kind::gauge,
              "1 while something keeps a source from reading, or a sink from writing, what it could.");
        each_operator([&](const job_status&, const operator_status& o) {
            if (o.inputs.empty() || o.kind == "sink") show(o.trouble.empty() ? 0 : 1);
        });
        begin("runnel_source_lag_records", metric_kind::gauge,
              "Records that are there and that a source has not read yet, where that is known.");
        each_operator([&](const job_status&, const operator_status& o) {
            if (o.lag) show(static_cast<double>(*o.lag));
        });
        begin("runnel_split_lag_records", metric_kind::gauge,
              "The same for each split: a partition of a topic, for Kafka.");
        each_operator([&](const job_status&, const operator_status& o) {
            for (const auto& [split, lag] : o.lag_by_split) {
                now_.labels.resize(2);
                now_.labels.emplace_back("split", split);
                show(static_cast<double>(lag));
            }
        });
        begin("runnel_errors_total", metric_kind::counter,
              "Records that could not be decoded, processed or written, and were left out.");
        each_subtask([&](const job_status&, const operator_status& o, const subtask_status& s) {
            now_.labels.emplace_back("reason", reason_of(o));
            show(static_cast<double>(s.skipped));
        });
        subtask_counter("runnel_busy_seconds_total", "Time at work. Operators in one chain share it.",
                        [](const operator_status&, const subtask_status& s) { return number(seconds(s.busy)); });
        subtask_counter("runnel_blocked_seconds_total", "Time without room downstream.",
                        [](const operator_status&, const subtask_status& s) { return number(seconds(s.blocked)); });
        subtask_counter("runnel_idle_seconds_total", "Time without input.",
                        [](const operator_status&, const subtask_status& s) { return number(seconds(s.idle)); });
        begin("runnel_queue_fill_ratio", metric_kind::gauge, "Share of the input channels that is in use, 0 to 1.");
        each_subtask([&](const job_status&, const operator_status& o, const subtask_status& s) {
            if (!o.inputs.empty() && !o.is_chained) show(s.queue_fill);
        });
        begin("runnel_watermark_timestamp_seconds", metric_kind::gauge,
              "Event time, in seconds since 1970; absent before the first watermark and after the end.");
        each_watermark([&](const job_status&, const subtask_status& s) { show(seconds(s.watermark)); });
        begin("runnel_watermark_lag_seconds", metric_kind::gauge, "How far event time is behind processing time.");
        each_watermark([&](const job_status& j, const subtask_status& s) { show(seconds(j.at - s.watermark)); });
        begin("runnel_watermark_stalled_seconds", metric_kind::gauge,
              "How long event time has been waiting for an input or split.");
        each_subtask([&](const job_status& j, const operator_status&, const subtask_status& s) {
            // It may be waiting for the first one.
            if (s.held_by.empty() && !is_real(s.watermark)) return;
            show(s.held_by.empty() ? 0 : std::max(0.0, seconds(j.at - s.held_since)));
        });
        begin("runnel_latency_seconds", metric_kind::histogram,
              "Time from a record's leaving the source to its having been written, sampled.");
        each_operator([&](const job_status&, const operator_status& o) {
            if (o.kind == "sink") histogram(o.latency);
        });
    }
    template <class F>
    void each_watermark(F f) {
        each_subtask([&](const job_status& j, const operator_status&, const subtask_status& s) {
            if (is_real(s.watermark)) f(j, s);
        });
    }

    const std::vector<job_status>& jobs_;
    const std::vector<std::string> names_;
    const std::function<void(const metric&)>& f_;
    std::vector<std::string> numbers_;
    metric now_;
};

}  // namespace

namespace detail {

std::vector<std::string> unique_names(const std::vector<job_status>& jobs) {
    std::vector<std::string> names;
    std::set<std::string> taken;
    for (const job_status& j : jobs) {
        std::string name = j.name;
        for (int i = 2; !taken.insert(name).second; ++i) name = j.name + "#" + std::to_string(i);
        names.push_back(std::move(name));
    }
    return names;
}

}  // namespace detail

void visit_metrics(const std::vector<job_status>& jobs, const std::function<void(const metric&)>& f) {
    visit(jobs, f).all();
}

}  // namespace runnel::observe
