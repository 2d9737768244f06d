#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/core/error.hpp"

namespace runnel::testing {

/// One way to run an operator over a script. As it is: one record at a time, in one subtask, undisturbed.
struct grid_way {
    static constexpr std::size_t never = static_cast<std::size_t>(-1);

    std::size_t batch = 1;           ///< Records per input batch; 0: all up to the next signal.
    std::size_t output_batch = 1;    ///< Records per output batch.
    std::uint64_t seed = 0;          ///< Of outputs that refuse, flushes in between, unusual batches; 0: none of this.
    std::size_t snapshot_every = 0;  ///< Steps between a snapshot with restore and the next; 0: none.
    std::size_t from = 1;            ///< Subtasks at first.
    std::size_t to = 1;              ///< Subtasks after the step `rescale_at`.
    std::size_t rescale_at = never;  ///< Before this step there is a snapshot, restored by `to` subtasks.
    bool uneven = false;             ///< If that step is a watermark, half of the subtasks have got it already.

    /// "batch=7 output_batch=2 seed=3 ...": what differs from the default.
    std::string text() const;
    /// The way that has this text. Throws `error` if there is none.
    static grid_way parse(std::string_view text);
};

/// A step of a script, as messages and the choice of ways need it.
struct grid_step {
    std::string text;
    bool is_signal;
    bool is_watermark;
};

/// The ways that `run_grid` takes through a script of these steps.
std::vector<grid_way> grid_ways(const std::vector<grid_step>& steps, std::size_t seeds,
                                const std::vector<std::size_t>& parallelism, bool uneven);

/// What one way gave too little and too much, in words.
struct grid_mismatch {
    std::vector<std::string> missing;
    std::vector<std::string> unexpected;
    std::string where;      ///< "main output", ...
    std::size_t epoch = 0;  ///< Signals that had come before.
    bool empty() const noexcept { return missing.empty() && unexpected.empty(); }
};

/// An operator's results depend on how it is run; the text says in which way, where, and how to repeat it.
class grid_difference : public error {
public:
    grid_difference(const std::string& what, const grid_way& way) : error(what), way_(way) {}
    const grid_way& way() const noexcept { return way_; }

private:
    grid_way way_;
};

/// Throws `grid_difference`: results differ from those of one record at a time.
[[noreturn]] void report_difference(const grid_way& way, const std::vector<grid_step>& steps, const grid_mismatch& m);
/// Throws `grid_difference`: the run ended with an exception at step `at`.
[[noreturn]] void report_failure(const grid_way& way, const std::vector<grid_step>& steps, std::size_t at,
                                 const std::string& why);

}  // namespace runnel::testing
