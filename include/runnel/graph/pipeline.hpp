#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "runnel/graph/dead_letter_output.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/graph/stream.hpp"
#include "runnel/runtime/job.hpp"
#include "runnel/source/source_stage.hpp"
#include "runnel/source/timing.hpp"
#include "runnel/source/watermarks.hpp"

namespace runnel {

/// The stream that comes out of a source: the place to set event time and what happens to unusable records.
template <class T>
class source_stream : public stream<T> {
public:
    source_stream(detail::shared_graph graph, plan::node_id id, std::shared_ptr<source<T>> from)
        : stream<T>(std::move(graph), {{id, 0}}), id_(id), source_(std::move(from)) {
        if (!source_) return;
        node().make_source = [from = source_](const source_timing& timing) {
            return std::unique_ptr<source_stage_base>(std::make_unique<source_stage<T>>(from, timing));
        };
    }

    /// Takes each record's event time by `extract` (a member or a function; timestamp, std::optional<timestamp> or a
    /// system_clock time_point) and has watermarks follow by `strategy`, split by split:
    /// `monotonous()`, `bounded_out_of_orderness(5s)`, `punctuated(f)`, ...
    template <class Extract, class Generator>
    source_stream event_time(Extract extract, watermark_strategy<Generator> strategy) const {
        constexpr bool gives_time = time_extractor<Extract, T>;
        static_assert(gives_time,
                      "event_time: the first argument must take the record as const T& and return its time: a "
                      "timestamp, std::optional<timestamp> or a system_clock time_point");
        if constexpr (gives_time) set_timing(std::move(extract), std::move(strategy));
        return *this;
    }
    /// The same for a source whose records come with times of their own.
    template <class Generator>
    source_stream event_time(watermark_strategy<Generator> strategy) const {
        set_timing(time_of_source{}, std::move(strategy));
        return *this;
    }

    /// What happens to a record that cannot be decoded or has no time: `fail` (default) ends the job, `skip` leaves it
    /// out, counts it, and shows it in the status.
    source_stream on_error(runnel::on_error policy) const {
        node().on_failure.what = policy;
        return *this;
    }
    /// Such records are left out, counted, and sent to `letters`, as the bytes that came.
    source_stream on_error(const dead_letter_output<std::string>& letters) const {
        letters.attach(this->graph_, id_);
        return *this;
    }

    source_stream named(const std::string& name) const {
        detail::rename(*this->graph_, id_, name);
        return *this;
    }

    /// Accepts that a crash loses what was read from a source that cannot read it again, in a job with checkpoints.
    source_stream at_most_once() const {
        node().at_most_once = true;
        return *this;
    }

    /// Reads in `n` subtasks, at most as many as there are splits, whatever the job's parallelism.
    source_stream with_parallelism(std::size_t n) const {
        node().parallelism = n;
        return *this;
    }

private:
    plan::node& node() const { return this->graph_->nodes[id_]; }

    template <class Extract, class Generator>
    void set_timing(Extract extract, watermark_strategy<Generator> strategy) const {
        constexpr bool fits = detail::watermark_generator<Generator, T>;
        static_assert(fits,
                      "event_time: the strategy does not fit the records: punctuated(f) needs f(const T&) or f(const "
                      "T&, timestamp) that returns std::optional<timestamp>; a generator of your own, timestamp "
                      "on_record(timestamp) or on_record(const T&, timestamp)");
        if constexpr (fits) set_checked_timing(std::move(extract), std::move(strategy));
    }
    template <class Extract, class Generator>
    void set_checked_timing(Extract extract, watermark_strategy<Generator> strategy) const {
        using timing = event_timing<Extract, Generator>;
        node().problems = source_->problems();
        for (const std::string& p : strategy.problems()) node().problems.push_back(p);
        node().gives_event_time = true;
        node().timing = timing_of<T>(timing{std::move(extract), strategy.generator, strategy.idle, strategy.aligned_in,
                                            strategy.max_drift});
    }

    plan::node_id id_;
    std::shared_ptr<source<T>> source_;
};

/// A dataflow program: sources, what is done to their records, and sinks. Nothing runs before `start`.
///
/// Thread safety: distinct objects: safe, shared objects: unsafe.
class pipeline {
public:
    explicit pipeline(std::string name = "pipeline") : graph_(std::make_shared<plan::graph>()) {
        graph_->name = std::move(name);
    }

    /// Begins a stream with the records of `from`: an object derived from `source<T>`, or a shared_ptr to one.
    template <class S>
    auto from(S from) {
        constexpr bool is_source = !std::is_void_v<detail::source_type_of<S>>;
        static_assert(is_source,
                      "from: needs a source: an object derived from runnel::source<T>, or a std::shared_ptr to one");
        if constexpr (is_source)
            return add<detail::source_type_of<S>>(std::make_shared<S>(std::move(from)));
        else return source_stream<S>(graph_, 0, nullptr);
    }
    template <class S>
    auto from(std::shared_ptr<S> from) {
        constexpr bool is_source = !std::is_void_v<detail::source_type_of<S>>;
        static_assert(is_source, "from: the std::shared_ptr is not one to an object derived from runnel::source<T>");
        if constexpr (is_source) return add<detail::source_type_of<S>>(std::move(from));
        else return source_stream<S>(graph_, 0, nullptr);
    }

    /// All problems of the graph, in words; empty if it can run. `start` throws them as one `graph_error`.
    std::vector<std::string> validate(std::size_t parallelism = 1) const { return graph_->validate(parallelism); }
    /// The operators, one a line: kind, parallelism, inputs, and how records get there.
    std::string describe(std::size_t parallelism = 1) const { return graph_->describe(parallelism); }
    /// The same as one JSON object; see plan::graph::describe_json for its members.
    std::string describe_json(std::size_t parallelism = 1) const { return graph_->describe_json(parallelism); }
    /// The same as a picture, in Graphviz's DOT language.
    std::string dot(std::size_t parallelism = 1) const { return graph_->dot(parallelism); }

    /// Starts the graph; the pipeline is used up. Throws `graph_error` before any thread or file is touched.
    job start(const job_options& options) && { return job::start(std::move(*graph_), options); }
    job start() && { return job::start(std::move(*graph_)); }

private:
    template <class T>
    source_stream<T> add(std::shared_ptr<source<T>> from) {
        const plan::node_id id = graph_->add(plan::source_node(from, plan::record_type_of<T>()));
        return source_stream<T>(graph_, id, std::move(from));
    }

    detail::shared_graph graph_;
};

}  // namespace runnel
