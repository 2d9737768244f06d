// Jobs that are ended at any point and go on from their newest checkpoint: what their sinks show in the end is what a run
// without failures shows.
//
// RUNNEL_PROGRAMS says how many runs to try, RUNNEL_SEED the first seed. A failure prints its seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

/// What is outside of the job, and survives it.
struct world {
    std::vector<std::string> visible;
    std::map<std::string, std::vector<std::string>> staged;  // by token
    std::map<std::string, checkpoint_id> markers;            // by owner
    std::uint64_t tokens = 0;
    std::size_t withdrawn = 0;
    /// The next so many commits fail before, or after, they are done.
    int fail_before = 0, fail_after = 0;

    void failing(int& how_many) {
        if (how_many > 0 && --how_many == 0) throw std::runtime_error("the target is away");
    }
    std::vector<std::string> sorted() const {
        std::vector<std::string> all = visible;
        std::sort(all.begin(), all.end());
        return all;
    }
};

/// Two-phase: results are staged under a token, and shown by commit.
class staging_sink : public sink<std::string> {
public:
    explicit staging_sink(world& w) : world_(w) {}
    std::string name() const override { return "staging"; }
    std::size_t max_parallelism() const override { return 8; }
    bool is_transactional() const override { return true; }
    void commit(checkpoint_id, const std::string&, const std::vector<std::string>& prepared) override {
        world_.failing(world_.fail_before);
        for (const std::string& token : prepared) {
            const auto at = world_.staged.find(token);
            if (at == world_.staged.end()) continue;  // Done before.
            world_.visible.insert(world_.visible.end(), at->second.begin(), at->second.end());
            world_.staged.erase(at);
        }
        world_.failing(world_.fail_after);
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        commit(id, owner, prepared);
        world_.withdrawn += world_.staged.size();
        world_.staged.clear();
    }
    std::unique_ptr<sink_writer<std::string>> open(const sink_context& context) override {
        CHECK(context.owner == "job/staged");
        return std::make_unique<writer>(world_);
    }

private:
    struct writer : sink_writer<std::string> {
        explicit writer(world& w) : world_(w) {}
        progress write(batch<std::string>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) taken_.push_back(records.take(i));
            return progress::done;
        }
        std::string prepare() override {
            if (taken_.empty()) return {};
            std::string token = "t" + std::to_string(world_.tokens++);
            world_.staged[token] = std::exchange(taken_, {});
            return token;
        }
        world& world_;
        std::vector<std::string> taken_;
    };
    world& world_;
};

/// Write-ahead with a marker: the results themselves are prepared, and stored together with the checkpoint's number.
class marker_sink : public sink<std::string> {
public:
    explicit marker_sink(world& w) : world_(w) {}
    std::string name() const override { return "marker"; }
    std::size_t max_parallelism() const override { return 8; }
    bool is_transactional() const override { return true; }
    void commit(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        world_.failing(world_.fail_before);
        if (world_.markers[owner] < id) {
            for (const std::string& bytes : prepared) {
                byte_reader in(bytes);
                for (std::string& r : codec<std::vector<std::string>>::decode(in)) world_.visible.push_back(std::move(r));
            }
            world_.markers[owner] = id;
        }
        world_.failing(world_.fail_after);
    }
    std::unique_ptr<sink_writer<std::string>> open(const sink_context&) override { return std::make_unique<writer>(); }

private:
    struct writer : sink_writer<std::string> {
        progress write(batch<std::string>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) taken_.push_back(records.take(i));
            return progress::done;
        }
        std::string prepare() override {
            std::string bytes;
            if (!taken_.empty()) codec<std::vector<std::string>>::encode(std::exchange(taken_, {}), bytes);
            return bytes;
        }
        std::vector<std::string> taken_;
    };
    world& world_;
};

struct event {
    int key = 0;
    int value = 0;
    timestamp at;
};

/// Says for each key, whenever it has been silent for a while, how many records there have been.
struct silence {
    using output_type = std::string;
    value_state<int> seen;
    value_state<timestamp> due;
    event_timer quiet;
    void open(state_setup& s) {
        seen = s.value<int>("seen");
        due = s.value<timestamp>("due");
        quiet = s.event_timer("quiet");
    }
    void on_record(const event& e, process_context<std::string>& c) {
        seen.set(seen.value_or(0) + e.value);
        due.set(c.time() + 300ms);
        quiet.set(c.time() + 300ms);
    }
    void on_timer(const timer_event& t, process_context<std::string>& c) {
        if (due.value_or(t.time) != t.time) return;
        c.emit("quiet at " + to_string(t.time) + " " + std::to_string(seen.value_or(0)));
    }
};

}  // namespace

template <>
struct runnel::codec<event> {
    static void encode(const event& e, std::string& out) {
        codec<int>::encode(e.key, out);
        codec<int>::encode(e.value, out);
        codec<timestamp>::encode(e.at, out);
    }
    static event decode(byte_reader& in) {
        const int key = codec<int>::decode(in);
        const int value = codec<int>::decode(in);
        return {key, value, codec<timestamp>::decode(in)};
    }
};

namespace {

constexpr std::uint64_t events = 3000;

event make(std::uint64_t i) {
    const std::uint64_t h = (i + 1) * 0x9E3779B97F4A7C15U;
    return {static_cast<int>(h >> 33) % 17, static_cast<int>(i % 10),
            timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(i * 5 + h % 90)))};
}

std::string text(const auto& r) {
    return std::to_string(r.key) + " " + to_string(r.start) + " " + to_string(r.end);
}

/// A bit of everything: sliding windows, sessions, a process function with timers, a merge, two sinks.
pipeline program(world& w, std::uint64_t n = events) {
    pipeline p("job");
    auto all = p.from(generate(n, make, {.splits = 3}))
                   .named("events")
                   .event_time(&event::at, bounded_out_of_orderness(200ms));
    auto keyed = all.key_by(&event::key);
    auto sliding_counts = keyed.window(sliding(1s, 250ms).drop_late())
                              .aggregate(combine(count(), sum(&event::value)))
                              .named("counts")
                              .map([](const auto& r) {
                                  return text(r) + " count " + std::to_string(std::get<0>(r.value)) + " sum " +
                                         std::to_string(std::get<1>(r.value));
                              });
    auto sessions = keyed.window(session(60ms).drop_late()).aggregate(count()).named("sessions").map([](const auto& r) {
        return text(r) + " session " + std::to_string(r.value);
    });
    sliding_counts.merge(sessions).to(std::make_shared<staging_sink>(w)).named("staged");
    keyed.in_event_time_order().process(silence{}).named("silence").to(std::make_shared<marker_sink>(w)).named("marked");
    return p;
}

std::vector<std::string> without_failure() {
    static const std::vector<std::string> expected = [] {
        test::temporary_folder folder;
        world with;
        auto job = program(with).start({.checkpoints = {.folder = folder / "c", .interval = 1ms}});
        job.wait();
        REQUIRE(with.sorted().size() > 1000);
        return with.sorted();
    }();
    return expected;
}

}  // namespace

TEST_CASE("a job with checkpoints shows its results, the tail too, when it has ended") {
    CHECK(without_failure().size() > 1000);
}

TEST_CASE("a job that is ended at any step, at any parallelism, goes on from its newest checkpoint as if nothing had been") {
    const char* const programs = std::getenv("RUNNEL_PROGRAMS");
    const char* const first_seed = std::getenv("RUNNEL_SEED");
    const std::uint64_t runs = programs ? std::strtoull(programs, nullptr, 10) : 40;
    const std::uint64_t first = first_seed ? std::strtoull(first_seed, nullptr, 10) : 1;
    std::size_t ends = 0, failures = 0;
    for (std::uint64_t seed = first; seed < first + runs; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        test::temporary_folder folder;
        world w;
        bool done = false;
        for (int life = 0; !done && life < 200; ++life) {
            testing::sim_executor sim(random.seed());
            if (random.chance(20)) w.fail_before = 1 + static_cast<int>(random.below(4));
            if (random.chance(20)) w.fail_after = 1 + static_cast<int>(random.below(4));
            job_options options{.parallelism = 1 + random.below(5),
                                .batch_size = 1 + random.below(64),
                                .channel_capacity = 1 + random.below(4),
                                .executor = &sim,
                                .clock = &sim.clock()};
            options.checkpoints = {.folder = folder / "c",
                                   .interval = std::chrono::microseconds(random.between(1, 60)),
                                   .executor = &sim};
            if (random.chance(30)) options.restart = fixed_delay(random.below(3), 10us);
            std::optional<job> running;
            try {
                running.emplace(program(w).start(options));
            } catch (const std::exception&) {
                ++failures;  // The sinks were away while it was recovering.
                continue;
            }
            const std::size_t steps = random.below(life < 40 ? 150 : 20000);
            for (std::size_t i = 0; i < steps && !running->is_done(); ++i) sim.step();
            if (!running->is_done()) {
                ++ends;
                continue;  // Its destructor ends it without a further checkpoint.
            }
            try {
                running->wait();
                done = true;
            } catch (const std::exception&) {
                ++failures;
            }
        }
        REQUIRE(done);
        REQUIRE(w.staged.empty());
        const std::vector<std::string> shown = w.sorted();
        REQUIRE(shown == without_failure());
    }
    MESSAGE("ended " << ends << " times, failed " << failures << " times");
    CHECK(ends > runs);
}
