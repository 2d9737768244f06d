#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <vector>

#include "runnel/testing/grid_options.hpp"
#include "runnel/testing/grid_run.hpp"
#include "runnel/testing/grid_way.hpp"
#include "runnel/testing/script.hpp"

namespace runnel::detail {

template <class In>
std::vector<testing::grid_step> steps_of(const testing::script<In>& input) {
    std::vector<testing::grid_step> steps;
    for (const testing::event<In>& e : input.events()) {
        using kind = typename testing::event<In>::kind;
        const bool is_signal = e.what != kind::record && e.what != kind::clock;
        steps.push_back({testing::text_of(e), is_signal, e.what == kind::watermark});
    }
    return steps;
}

}  // namespace runnel::detail

namespace runnel::testing {

/// Runs copies of `op` over `input` in many ways, and demands the same results from each: one record at a time, in
/// batches of several sizes, with outputs that refuse, with a snapshot and a restore into a fresh instance after each
/// step or every few, and with a snapshot taken by p subtasks and restored by q. Results are compared between each
/// two signals, with their times; side outputs and the number of late records too. At each step of the clock, and
/// after each restore, the operator is told the time. Returns the number of ways.
///
///     run_grid(reduce_operator<...>(...), random_script<order>(seed, make_order), {.group_of = group_by(&order::id)});
///
/// Errors: `grid_difference`, which says which way and where, what is missing or unexpected, and how to run only that
/// way again.
/// Complexity: some 60 runs of the script, each snapshot costing as much as the state is large.
template <class Op>
std::size_t run_grid(const Op& op, const script<typename Op::input_type>& input,
                     const grid_options<typename Op::input_type, typename Op::output_type>& options = {}) {
    static_assert(std::is_copy_constructible_v<typename Op::input_type>,
                  "run_grid: the operator's records must be copyable, since they go in many times");
    if (!std::equality_comparable<typename Op::output_type> && !options.equal)
        throw error("run_grid: the operator's results have no operator==. Give grid_options::equal.");
    const bool parallel = options.group_of || !stateful_operator<Op>;
    const std::vector<grid_step> steps = detail::steps_of(input);
    const grid_way one_at_a_time;
    std::vector<grid_way> ways;
    if (options.only.empty())
        ways = grid_ways(steps, options.seeds, parallel ? options.parallelism : std::vector<std::size_t>{1},
                         options.uneven_watermarks);
    else
        ways.push_back(grid_way::parse(options.only));

    auto completed = [&](detail::grid_run<Op>& r, const grid_way& way) {
        try {
            r.run();
        } catch (const std::exception& e) {
            report_failure(way, steps, r.step(), e.what());
        }
    };
    detail::grid_run<Op> expected(op, input, options, one_at_a_time, 0);
    completed(expected, one_at_a_time);
    for (const grid_way& way : ways) {
        detail::grid_run<Op> run(op, input, options, way, expected.most_per_record());
        completed(run, way);
        if (const grid_mismatch m = run.differs_from(expected); !m.empty()) report_difference(way, steps, m);
    }
    return 1 + ways.size();
}

}  // namespace runnel::testing
