#pragma once

#include <memory>
#include <random>
#include <vector>

#include "drive.hpp"
#include "window_oracle.hpp"

namespace runnel::test {

/// Several instances of an operator that share the keys, as the subtasks of a job do.
template <class Op>
class driver_group {
public:
    driver_group(const Op& op, std::size_t parallelism, drive_options options) : op_(op), options_(options) {
        start(parallelism);
    }
    void record(const event& e, std::int64_t t) {
        const key_group g = key_group_of(e.key, options_.key_groups);
        drivers_[subtask_of(g, options_.key_groups, drivers_.size())]->record(e, t);
    }
    void watermark(std::int64_t w) {
        for (auto& d : drivers_) d->watermark(w);
    }
    /// Saves all instances and goes on with new ones, that have what was saved.
    void restart(std::size_t parallelism) {
        operator_snapshot all;
        for (auto& d : drivers_) {
            operator_snapshot one;
            d->save(one);
            all.add(std::move(one));
        }
        gather();
        start(parallelism);
        for (auto& d : drivers_) d->load(all);
    }
    void gather() {
        for (auto& d : drivers_) {
            auto results = d->take();
            results_.insert(results_.end(), results.begin(), results.end());
            auto late = d->late();
            late_.insert(late_.end(), late.begin(), late.end());
        }
        drivers_.clear();
    }
    std::size_t parallelism() const { return drivers_.size(); }
    driver<Op>& operator[](std::size_t i) { return *drivers_[i]; }

    std::vector<typename Op::output_type> results_;
    std::vector<late_record<event>> late_;

private:
    void start(std::size_t parallelism) {
        for (std::size_t i = 0; i != parallelism; ++i) {
            drive_options o = options_;
            o.subtask = i;
            o.parallelism = parallelism;
            drivers_.push_back(std::make_unique<driver<Op>>(op_, o));
        }
    }
    Op op_;
    drive_options options_;
    std::vector<std::unique_ptr<driver<Op>>> drivers_;
};

/// Late records in an order that doesn't depend on which instance found them.
inline std::vector<late_record<event>> sorted_late(std::vector<late_record<event>> late) {
    std::sort(late.begin(), late.end(), [](auto& a, auto& b) { return a.value.value < b.value.value; });
    return late;
}

/// Feeds one random stream to an operator and to its oracle; the outcomes must be equal, per key in the same order.
/// `restart_every` > 0: saves and restores after so many steps, at changing parallelism.
template <class Op, class Oracle>
void compare(const Op& op, Oracle oracle, const std::vector<step>& steps, drive_options options,
             std::size_t restart_every = 0) {
    driver_group<Op> group(op, restart_every % 3 == 2 ? 3 : 1, options);
    std::size_t n = 0;
    for (const step& s : steps) {
        if (s.is_watermark) {
            oracle.advance(s.time);
            group.watermark(s.time);
        } else {
            oracle.record(s.record, s.time);
            group.record(s.record, s.time);
        }
        if (restart_every != 0 && ++n % restart_every == 0) group.restart(group.parallelism() == 1 ? 3 : 1);
    }
    oracle.advance(INT64_MAX);
    group.watermark(INT64_MAX);
    group.gather();
    CHECK(by_key(group.results_) == by_key(oracle.results));
    CHECK(sorted_late(group.late_) == sorted_late(oracle.late));
}

/// Three instances whose watermarks run apart, saved halfway and put together into one; `oracles`: one for each.
template <class Op, class Oracle>
void compare_apart(driver_group<Op>& group, std::vector<Oracle> oracles, const std::vector<step>& steps) {
    auto of = [](const event& e) { return subtask_of(key_group_of(e.key, 128), 128, 3); };
    std::size_t n = 0;
    for (const step& s : steps) {
        ++n;
        if (!s.is_watermark) {
            oracles[of(s.record)].record(s.record, s.time);
            group.record(s.record, s.time);
        } else if (n < steps.size() / 2) {
            for (std::size_t i = 0; i != 3; ++i) {
                const std::int64_t w = s.time + 12 * static_cast<std::int64_t>(i);
                oracles[i].advance(w);
                group[i].watermark(w);
            }
        } else {
            for (auto& oracle : oracles)
                if (s.time > oracle.watermark) oracle.advance(s.time);
            group.watermark(s.time);
        }
        if (n == steps.size() / 2) group.restart(1);
    }
    group.watermark(INT64_MAX);
    group.gather();
    std::vector<typename Op::output_type> results;
    std::vector<late_record<event>> late;
    for (auto& oracle : oracles) {
        oracle.advance(INT64_MAX);
        results.insert(results.end(), oracle.results.begin(), oracle.results.end());
        late.insert(late.end(), oracle.late.begin(), oracle.late.end());
    }
    CHECK(by_key(group.results_) == by_key(results));
    CHECK(sorted_late(group.late_) == sorted_late(late));
}

}  // namespace runnel::test
