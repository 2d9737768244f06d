#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/core/output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/window/window.hpp"

namespace runnel::test {

/// Keeps what it receives; refuses every so many calls, and takes only a part of what comes just before that.
template <class T>
class collector : public receiver<T> {
public:
    std::vector<std::pair<T, timestamp>> got;
    std::size_t refuse_every = 0;  // 0: never; 1 would be always

    progress on_batch(batch<T>& records) override {
        const bool refuse = refuse_every != 0 && ++calls_ % refuse_every == 0;
        const std::size_t end = refuse ? records.cursor() + records.remaining() / 2 : records.size();
        bool in_bounds = true;
        for (std::size_t i = records.cursor(); i != end; ++i) {
            in_bounds &= records.min_time() <= records.time(i) && records.time(i) <= records.max_time();
            got.emplace_back(records.value(i), records.time(i));
        }
        CHECK(in_bounds);
        records.consume_until(end);
        return refuse ? progress::blocked : progress::done;
    }
    progress on_watermark(timestamp) override { return progress::done; }
    progress on_activity(activity) override { return progress::done; }
    progress on_barrier(checkpoint_id) override { return progress::done; }
    progress flush() override { return progress::done; }

private:
    std::size_t calls_ = 0;
};

struct drive_options {
    std::size_t batch_size = 256;
    std::size_t output_batch = 256;
    std::size_t refuse_every = 0;  // 0: never; 1 would be always
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    std::size_t key_groups = 128;
};

/// Drives one instance of a window operator by hand.
template <class Op>
class driver {
    using in_type = typename Op::input_type;
    using out_type = typename Op::output_type;
    static constexpr bool has_side = std::tuple_size_v<typename Op::side_types> != 0;

public:
    explicit driver(const Op& op, drive_options options = {}) : op_(op), options_(options) {
        results_.refuse_every = late_.refuse_every = options.refuse_every;
        out_.connect(results_, options.output_batch);
        side_.connect(late_, options.output_batch);
        operator_context context;
        context.subtask = options.subtask;
        context.parallelism = options.parallelism;
        context.key_groups = options.key_groups;
        context.mine = range_of(options.subtask, options.parallelism, options.key_groups);
        context.metrics = &metrics_;
        if constexpr (has_side)
            op_.open(context, side_);
        else
            op_.open(context);
    }

    void record(in_type value, timestamp t) {
        pending_.append(std::move(value), t);
        if (pending_.size() == options_.batch_size) flush();
    }
    void record(in_type value, std::int64_t t) { record(std::move(value), timestamp(t)); }
    void flush() {
        if (pending_.size() == 0) return;
        while (op_.process(pending_, out_) == progress::blocked) {
        }
        CHECK(pending_.empty());
        pending_.clear();
        send();
    }
    void watermark(timestamp w) {
        flush();
        if constexpr (requires { op_.advance(w, out_); }) {
            while (op_.advance(w, out_) == progress::blocked) {
            }
        }
        send();
    }
    void watermark(std::int64_t w) { watermark(timestamp(w)); }
    void finish() { watermark(timestamp::max()); }

    void save(operator_snapshot& into) {
        flush();
        snapshot_writer writer(into);
        std::as_const(op_).save(writer);
    }
    void load(const operator_snapshot& from) {
        snapshot_reader reader(from, range_of(options_.subtask, options_.parallelism, options_.key_groups));
        op_.load(reader);
    }

    std::vector<std::pair<out_type, timestamp>>& results() { return results_.got; }
    /// The results so far, without their times; forgets them.
    std::vector<out_type> take() {
        flush();
        std::vector<out_type> taken;
        bool at_end = true;
        for (auto& [value, time] : results_.got) {
            at_end &= time == value.end.previous();
            taken.push_back(value);
        }
        CHECK(at_end);
        results_.got.clear();
        return taken;
    }
    std::vector<late_record<in_type>> late() {
        flush();
        std::vector<late_record<in_type>> all;
        for (auto& [value, time] : late_.got) all.push_back(value);
        return all;
    }
    std::uint64_t late_dropped() const { return metrics_.late_dropped.get(); }
    Op& op() { return op_; }

private:
    void send() {
        while (out_.send() == progress::blocked) {
        }
        while (side_.send() == progress::blocked) {
        }
    }

    Op op_;
    drive_options options_;
    operator_metrics metrics_;
    collector<out_type> results_;
    collector<late_record<in_type>> late_;
    output<out_type> out_;
    output<late_record<in_type>> side_;
    batch<in_type> pending_;
};

}  // namespace runnel::test
