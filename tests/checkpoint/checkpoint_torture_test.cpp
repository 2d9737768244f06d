// What a power failure or a failing call at any moment may do to checkpoints: nothing. With RUNNEL_TORTURE=1 in the
// environment in full numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"

#include "tests/checkpoint/changing_state.hpp"

using namespace runnel;
using namespace runnel::testing;

namespace {

const std::string folder = "/jobs/a";

bool in_full() {
    const char* wish = std::getenv("RUNNEL_TORTURE");
    return wish && *wish && *wish != '0';
}

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
std::string crash(const memory_file_system& fs, const made_up_job& job, std::size_t n, survivors what,
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

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("no power failure at any moment loses a checkpoint that was written, or leaves a part of one") {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t seed = 20'260'101;
    const std::size_t goal = in_full() ? 100'000 : 2'000;
    std::size_t boundaries = 0, images = 0, differences = 0;
    const auto check = [&](const memory_file_system& fs, const made_up_job& job, std::size_t n, survivors what,
                           std::uint64_t image_seed) {
        ++images;
        const std::string text = crash(fs, job, n, what, image_seed);
        if (text.empty()) return;
        ++differences;
        MESSAGE("power fails behind operation " << n << ", image " << static_cast<int>(what) << " of seed "
                                                << image_seed << ": " << text);
    };
    {
        memory_file_system fs;
        made_up_job job(seed, fs);
        for (int i = 0; i < 30 || (in_full() && fs.operations() < 2'000); ++i) job.step(fs);
        for (; boundaries <= fs.operations(); ++boundaries)
            for (const survivors what :
                 {survivors::none, survivors::all, survivors::names, survivors::contents, survivors::some})
                check(fs, job, boundaries, what, boundaries);
    }
    std::size_t drawn = 0;
    for (std::uint64_t run = seed + 1; drawn < goal; ++run) {
        memory_file_system fs;
        made_up_job job(run, fs);
        for (int i = 0; i < 8; ++i) job.step(fs);
        std::mt19937_64 random(run);
        std::vector<std::size_t> moments;
        for (int i = 0; i < 200; ++i) moments.push_back(random() % (fs.operations() + 1));
        std::sort(moments.begin(), moments.end());
        for (const std::size_t n : moments) check(fs, job, n, survivors::some, random());
        drawn += moments.size();
    }
    CHECK(differences == 0);
    std::printf("%zu images: of every one of %zu moments of one run, and random ones\n", images, boundaries);
    std::printf("torture R3-checkpoint %zu of %zu differences %zu seed %llu seconds %.1f\n", drawn, goal, differences,
                static_cast<unsigned long long>(seed), seconds_since(start));
}

TEST_CASE("whatever call fails while checkpoints are written, what was acknowledged is there, and the next is written") {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t seed = 7;
    const int checkpoints = in_full() ? 20 : 5;
    const std::vector<int> codes = in_full() ? std::vector{EIO, ENOSPC} : std::vector{EIO};
    std::size_t calls = 0, runs = 0, differences = 0;
    {
        memory_file_system disk;
        failing_file_system counted(disk);
        made_up_job job(seed, disk);
        for (int i = 0; i < checkpoints; ++i) job.step(counted);
        calls = counted.calls();
    }
    const auto check = [&](const failing_calls& failing) -> std::string {
        memory_file_system disk;
        failing_file_system fs(disk, failing);
        made_up_job job(seed, disk);
        for (int i = 0; i < checkpoints; ++i) {
            const checkpoint_id before = job.promised(disk.operations());
            const std::size_t failures = fs.failures();
            job.step(fs);
            const std::string text = job.difference(disk, job.promised(disk.operations()));
            if (!text.empty()) return fs.first_failure() + ": " + text;
            if (job.was_written()) continue;
            if (failing.how == call_failure::shortened) return "a short read or write is not an error";
            if (fs.failures() == failures) return "after one failure the next write has failed, too";
            if (!failing.from_then_on && newest_checkpoint(disk, folder).value_or(0) != before)
                return fs.first_failure() + ": the write has failed, and the checkpoint is there";
        }
        for (std::uint64_t s = 0; s < 4; ++s) {
            const std::string text = crash(disk, job, disk.operations(), survivors::some, s);
            if (!text.empty()) return fs.first_failure() + ": when power fails after it, " + text;
        }
        return "";
    };
    for (const call_failure how :
         {call_failure::before, call_failure::halfway, call_failure::afterwards, call_failure::shortened})
        for (const int code : codes)
            for (const bool from_then_on : {false, true})
                for (std::size_t n = 1; n <= calls; ++n, ++runs) {
                    const std::string text = check({n, how, code, from_then_on, ""});
                    if (text.empty()) continue;
                    ++differences;
                    MESSAGE("call " << n << ", failure " << static_cast<int>(how) << (from_then_on ? " from then on" : "")
                                    << ": " << text);
                }
    CHECK(differences == 0);
    std::printf("torture R6-checkpoint %zu of %zu differences %zu seed %llu seconds %.1f\n", runs, calls * 8 * codes.size(),
                differences, static_cast<unsigned long long>(seed), seconds_since(start));
}

TEST_CASE("a checkpoint that failed may be tried again under its number, though it may come back when power fails") {
    memory_file_system disk;
    failing_file_system fs(disk);
    checkpoint_store store(fs, folder);
    test::changing_state state(5);
    checkpoint first = state.next();
    store.write(first);
    checkpoint failed = state.next();
    failed.extra["try"] = "first";
    failed.operators.push_back({"sum", "", 1, {{}, {{"sums", {"first"}}}}});
    checkpoint again = failed;
    again.extra["try"] = "second";
    again.operators.back().state.local["sums"] = {"second, and longer"};
    // The manifest has its name, but it is not durable, and neither is its removal.
    fs.restart({.first = 2, .from_then_on = true, .only = "sync folder"});
    CHECK_THROWS_AS(store.write(failed), io_error);
    CHECK(newest_checkpoint(disk, folder) == first.id);
    const std::size_t begin = disk.operations();
    bool has_come_back = false;
    const auto check_images = [&](std::size_t end) {
        for (std::size_t n = begin; n <= end; ++n)
            for (std::uint64_t seed = 0; seed < 100; ++seed) {
                const auto image = disk.crash_image(n, survivors::some, seed);
                const auto newest = newest_checkpoint(*image, folder);
                REQUIRE(newest >= first.id);
                const checkpoint c = read_checkpoint(*image, folder, *newest);
                CHECK((c == first || c == failed || c == again));
                has_come_back |= c == failed;
            }
    };
    check_images(begin);
    CHECK(has_come_back);
    fs.restart({});
    store.write(again);
    CHECK(store.read(again.id) == again);
    check_images(disk.operations());
}

TEST_CASE("whatever call fails while a checkpoint is read, it is read right or not at all") {
    memory_file_system disk;
    test::changing_state state(11);
    checkpoint c;
    {
        checkpoint_store store(disk, folder);
        for (int i = 0; i < 12; ++i) store.write(c = state.next());
    }
    failing_file_system fs(disk);
    CHECK(read_checkpoint(fs, folder, c.id) == c);
    const std::size_t calls = fs.calls();
    for (const call_failure how : {call_failure::before, call_failure::halfway, call_failure::afterwards})
        for (std::size_t n = 1; n <= calls; ++n) {
            CAPTURE(n);
            fs.restart({.first = n, .how = how});
            CHECK_THROWS_AS(read_checkpoint(fs, folder, c.id), io_error);
        }
    fs.restart({.first = 1, .how = call_failure::shortened, .from_then_on = true});
    CHECK(read_checkpoint(fs, folder, c.id) == c);
    CHECK(fs.calls() > calls);
}
