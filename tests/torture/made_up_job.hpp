#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/checkpoint/changing_state.hpp"

namespace test {

using namespace runnel;
using namespace runnel::testing;

inline const std::string folder = "/jobs/a";

/// A job that writes checkpoints, prunes them, and now and then ends and starts again. It knows what it was promised.
class made_up_job {
public:
    made_up_job(std::uint64_t seed, const memory_file_system& disk) : state_(seed), random_(seed), disk_(disk) {}

    /// Writes the next checkpoint, and perhaps prunes. After a failure it comes under the same number or the next.
    void step(file_system& fs) {
        checkpoint next = state_.next();
        next.id = ++last_tried_;
        tried_[next.id].push_back(next);
        was_written_ = false;
        try {
            if (!store_) store_ = std::make_unique<checkpoint_store>(fs, folder);
            store_->write(next);
            was_written_ = true;
            tried_[next.id] = {next};
            acknowledged_.emplace_back(disk_.operations(), next.id);
            if (random_() % 2) store_->prune(1 + random_() % 3);
            if (random_() % 8 == 0) store_.reset();
        } catch (const io_error&) {
            if (!was_written_ && newest_checkpoint(*disk_.crash_image(disk_.operations(), survivors::all), folder) !=
                                     next.id)
                last_tried_ -= random_() % 2;
        }
    }
    /// Ends, and goes on from what another disk holds.
    made_up_job on(const memory_file_system& disk) const {
        made_up_job other(0, disk);
        other.state_ = state_;
        other.random_ = random_;
        other.last_tried_ = last_tried_;
        other.tried_ = tried_;
        return other;
    }

    bool was_written() const { return was_written_; }
    /// The checkpoint that was acknowledged last, among the first `n` operations of the disk.
    checkpoint_id promised(std::size_t n) const {
        checkpoint_id last = 0;
        for (const auto& [at, id] : acknowledged_)
            if (at <= n) last = id;
        return last;
    }
    /// Empty if all is well: the newest checkpoint is no older than promised, and every one that is there is exactly
    /// what was written.
    std::string difference(file_system& fs, checkpoint_id promised) const {
        const auto newest = newest_checkpoint(fs, folder);
        if (newest.value_or(0) < promised)
            return "checkpoint " + std::to_string(promised) + " was acknowledged, and is lost";
        if (!newest) return "";
        try {
            for (const checkpoint_info& i : list_checkpoints(fs, folder)) {
                if (!i.damage.empty()) return i.damage;
                const auto& expected = tried_.at(i.id);
                if (std::find(expected.begin(), expected.end(), read_checkpoint(fs, folder, i.id)) == expected.end())
                    return "checkpoint " + std::to_string(i.id) + " is not what was written";
            }
        } catch (const error& e) {
            return e.what();
        }
        return "";
    }

private:
    test::changing_state state_;
    std::mt19937_64 random_;
    const memory_file_system& disk_;
    std::unique_ptr<checkpoint_store> store_;
    checkpoint_id last_tried_ = 0;
    bool was_written_ = false;
    std::map<checkpoint_id, std::vector<checkpoint>> tried_;
    std::vector<std::pair<std::size_t, checkpoint_id>> acknowledged_;
};

/// Empty if all is well on the disk that power failing behind operation `n` leaves, and when the job goes on there, and
/// power fails again meanwhile.
inline std::string crash(const memory_file_system& fs, const made_up_job& job, std::size_t n, survivors what,
                  std::uint64_t seed) {
    const auto image = fs.crash_image(n, what, seed);
    std::string text = job.difference(*image, job.promised(n));
    if (!text.empty()) return text;
    made_up_job after = job.on(*image);
    for (int i = 0; i < 2; ++i) {
        after.step(*image);
        if (!after.was_written()) return "nothing can be written any more";
        text = after.difference(*image, after.promised(image->operations()));
        if (!text.empty()) return text + " (when the job had gone on)";
    }
    const std::size_t m = seed % (image->operations() + 1);
    text = after.difference(*image->crash_image(m, survivors::some, seed),
                            std::max(job.promised(n), after.promised(m)));
    return text.empty() ? text : text + " (after a second failure behind operation " + std::to_string(m) + ")";
}

/// The line that a torture ends with.
inline void print_result(const char* id, std::size_t count, std::size_t goal, std::size_t differences,
                         std::uint64_t seed, std::chrono::steady_clock::time_point began) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture %s %zu of %zu differences %zu seed %llu seconds %.1f\n", id, count, goal, differences,
                static_cast<unsigned long long>(seed), took.count());
}

}  // namespace test
