// R1 with Kafka: a job that reads a topic and writes to two others exactly once is killed at random moments, most of all while its
// checkpoints become durable and its results are committed, and started again until it is done, at another parallelism
// each time. What readers of committed records see in the end is what a sequential model of its program computes.
// In every other run the sink writes ahead; in the others it rolls back, and is the only one.
//
// kafka_kills [COUNT [SEED [FORM]]]: at least so many kills; FORM: "ahead" or "back" for one of the two alone. Started by
// tests/servers/kafka.py, which brings the broker.
//
// Two mistakes are made on purpose at the end, by each form, and have to be found: a recovery without a look at the
// marker, which writes results again or leaves them out, and a commit before the checkpoint is durable.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "runnel/connect/kafka_source.hpp"
#include "runnel/connect/kafka_values.hpp"
#include "runnel/sink/write_ahead_sink.hpp"
#include "runnel/source/rate_limited.hpp"
#include "src/connect/kafka_producer.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/kafka/committed.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/life.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

enum class mistake { none, no_look_at_marker, commit_before_checkpoint };

/// Each run is a job of its own to the cluster.
std::string id_of(const std::string& topic) { return "torture/" + topic; }

/// What parent and child tell each other beside what files are about.
struct more : shared {
    std::atomic<int> in_commit{0};     ///< Commits and recoveries of sinks that are under way.
    std::atomic<int> commits_left{0};  ///< The child kills itself in the call at which this falls to 0,
    int after_us = 0;                  ///< so long after its beginning.
};

/// The sink of a recipe, with its commits noted, and with the mistake, if there is to be one.
template <class T>
class watched_sink final : public sink<T> {
public:
    watched_sink(std::shared_ptr<sink<T>> real, std::string topic, mistake m, more& s)
        : real_(std::move(real)), topic_(std::move(topic)), mistake_(m), shared_(s) {}
    std::string name() const override { return real_->name(); }
    std::size_t max_parallelism() const override { return real_->max_parallelism(); }
    bool is_transactional() const override { return true; }
    bool rolls_back() const override { return real_->rolls_back(); }
    bool is_at(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        if (mistake_ == mistake::no_look_at_marker) return true;
        bool is = false;
        note([&] { is = real_->is_at(id, owner, prepared); });
        return is;
    }
    void postpone(const std::vector<std::string>& prepared) override { real_->postpone(prepared); }
    void commit(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        note([&] { real_->commit(id, owner, prepared); });
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        last_ = id;
        owner_ = owner;
        if (mistake_ == mistake::no_look_at_marker && id != 0) {
            std::vector<kafka_output> results;
            if (!rolls_back())
                for (auto& part : runnel::detail::read_parts(prepared))
                    for (; part.count != 0; --part.count) results.push_back(codec<kafka_output>::decode(part.values));
            runnel::detail::kafka_transactions({kafka_test::cluster(), topic_}, id_of(topic_)).store(id, results);
        }
        note([&] { real_->recover(id, owner, prepared); });
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        auto writer = real_->open(context);
        if (mistake_ != mistake::commit_before_checkpoint) return writer;
        return std::make_unique<hasty_writer>(*this, std::move(writer));
    }

private:
    struct hasty_writer final : sink_writer<T> {
        hasty_writer(watched_sink& of, std::unique_ptr<sink_writer<T>> real) : of_(of), real_(std::move(real)) {}
        progress write(batch<T>& records) override { return real_->write(records); }
        progress flush() override { return real_->flush(); }
        progress settle() override { return real_->settle(); }
        progress finish() override { return real_->finish(); }
        std::string prepare() override {
            const std::string prepared = real_->prepare();
            of_.real_->commit(++of_.last_, of_.owner_, {prepared});
            return prepared;
        }
        watched_sink& of_;
        std::unique_ptr<sink_writer<T>> real_;
    };

    template <class F>
    void note(F f) {
        shared_.in_commit.fetch_add(1);
        if (shared_.commits_left.fetch_sub(1) == 1)
            std::thread([us = shared_.after_us] {
                std::this_thread::sleep_for(std::chrono::microseconds(us));
                ::kill(::getpid(), SIGKILL);
            }).detach();
        f();
        shared_.in_commit.fetch_sub(1);
    }

    std::shared_ptr<sink<T>> real_;
    const std::string topic_;
    const mistake mistake_;
    more& shared_;
    checkpoint_id last_ = 0;
    std::string owner_;
};

struct watched {
    std::string topic;
    kafka_recovery form;
    mistake m;
    more& s;
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        // Some of the events' times are before 1970, which Kafka cannot hold.
        const auto made = [](const T& text) { return kafka_output{.value = text, .time = ms(1)}; };
        const auto to = to_kafka(kafka_test::cluster(), topic, delivery::exactly_once, made,
                                 {.transactional_id = id_of(topic), .recovery = form});
        return std::make_shared<watched_sink<T>>(to.template bind<T>(), topic, m, s);
    }
};

/// Calls `f` in a process of its own, so that this one, which forks, has no threads of librdkafka.
template <class F>
pid_t apart(F f) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    int code = 0;
    try {
        f();
    } catch (const std::exception& e) {
        tell(e);
        code = 3;
    }
    std::fflush(stderr);
    ::_exit(code);
}

bool ends_well(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const parameters work{.events = 30'000, .rate = 30'000};

/// The events, in a partition of their own: then their order decides what is late.
void write_events(const std::string& input) {
    kafka_test::admin().create(input, 1);
    pipeline p;
    p.from(generate(work.events, maker{work}))
        .to(to_kafka(kafka_test::cluster(), input, delivery::at_least_once, [](const event& e) {
            kafka_output r{.value = "", .time = ms(1)};
            codec<event>::encode(e, *r.value);
            return r;
        }));
    std::move(p).start().wait();
}

/// One life of the job.
pid_t start(const std::string& folder, const std::string& input, const std::string& topic, std::size_t parallelism,
            kafka_recovery form, mistake m, more& s) {
    return apart([&] {
        watched_files files(s);
        job_options options{.parallelism = parallelism, .threads = 2, .batch_size = 128};
        options.checkpoints = {.folder = folder + "/checkpoints",
                               .interval = 10ms,
                               .keep = form == kafka_recovery::roll_back ? std::size_t{1} : std::size_t{2},
                               .files = &files};
        // What a dead process has sent may come to the broker late, and shut its successor out: recovery helps.
        options.restart = fixed_delay(5, 50ms);
        auto events = rate_limited(from_kafka(kafka_test::cluster(), input, kafka_binary<event>(),
                                              {.until = kafka_end::latest()}),
                                   work.rate);
        const watched first{topic + "a", form, m, s}, second{topic + "b", form, m, s};
        (form == kafka_recovery::roll_back ? program(work, std::move(events), first, nullptr)
                                           : program(work, std::move(events), first, second))
            .start(options)
            .wait();
    });
}

std::vector<std::string> shown(const std::string& folder, const std::string& topic) {
    const bool read = ends_well(apart([&] {
        std::ofstream out(folder + "/shown");
        for (const std::string& t : {topic + "a", topic + "b"})
            for (const auto& r : kafka_test::committed_records_in(t)) out << r.value.value_or("") << '\n';
        if (!out.flush()) throw error("cannot write");
    }));
    std::vector<std::string> all;
    if (!read) return {"the topics cannot be read"};
    std::ifstream in(folder + "/shown");
    for (std::string text; std::getline(in, text);) all.push_back(text);
    std::sort(all.begin(), all.end());
    return all;
}

struct counts {
    std::uint64_t kills = 0, in_checkpoint = 0, in_commit = 0, soon = 0, runs = 0, differences = 0;
};

/// Kills a job until it is done, and looks at what it has written; with a mistake, until that is found.
void run(const std::string& input, const std::string& topic, const std::vector<std::string>& expected,
         kafka_recovery form, mistake m, std::uint64_t most, tests::random_numbers& random, more& s, counts& c) {
    test::temporary_folder folder(quick_folder());
    if (!ends_well(apart([&] {
            kafka_test::admin admin;
            admin.create(topic + "a", 3);
            admin.create(topic + "b", 1);
        }))) {
        ++c.differences;
        return;
    }
    // A life must be long enough for a checkpoint, however slow the machine is.
    std::uint64_t longest = 400'000, without_progress = 0;
    std::string newest;
    for (bool again = false;;) {
        s.in_files.store(0);
        s.in_commit.store(0);
        // A third of the lives end at a random moment, a third at a step of a checkpoint, a third in a commit.
        const auto way = c.kills >= most ? 3 : random.below(3);
        s.calls_left.store(way == 1 ? 1 + static_cast<int>(random.below(again ? 20 : 120)) : 0);
        s.after = random.chance(50);
        s.commits_left.store(way == 2 ? 1 + static_cast<int>(random.below(again ? 2 : 8)) : 0);
        s.after_us = static_cast<int>(random.below(60'000));
        const pid_t child = start(folder.path(), input, topic, m == mistake::none ? 1 + random.below(4) : 1, form, m, s);
        if (way == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(random.below(again ? 100'000 : longest)));
            ::kill(child, SIGKILL);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WIFEXITED(status)) {
            if (WEXITSTATUS(status) != 0) ++c.differences;
            break;
        }
        ++c.kills;
        if (s.in_files.load() > 0) ++c.in_checkpoint;
        if (s.in_commit.load() > 0) ++c.in_commit;
        if (again) ++c.soon;
        again = random.chance(10);
        if (const std::string now = newest_manifest(folder.path()); now != newest) {
            newest = now;
            without_progress = 0;
        } else if (++without_progress == 10) {
            longest = std::min<std::uint64_t>(2 * longest, 10'000'000);
            without_progress = 0;
        }
    }
    ++c.runs;
    if (c.differences == 0) {
        const std::vector<std::string> found = shown(folder.path(), topic);
        if (m == mistake::none) c.differences += difference(expected, found, "killed");
        else if (found != expected) ++c.differences;
    }
}

}  // namespace

int main(int argc, char** argv) {
    doctest::Context asserts;
    asserts.setAsDefaultForAssertsOutOfTestCases();
    asserts.setAssertHandler([](const doctest::AssertData& a) {
        if (a.m_failed) std::fprintf(stderr, "%s:%d: %s\n", a.m_file, a.m_line, a.m_expr), std::abort();
    });
    const std::uint64_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 15;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    std::vector<kafka_recovery> forms{kafka_recovery::write_ahead, kafka_recovery::roll_back};
    if (argc > 3) forms = {std::string(argv[3]) == "back" ? forms[1] : forms[0]};
    const auto began = std::chrono::steady_clock::now();
    void* memory = ::mmap(nullptr, sizeof(more), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return std::perror("mmap"), 2;
    more& s = *new (memory) more;
    // A cluster that stays from run to run has topics of earlier ones.
    const auto now = std::chrono::system_clock::now().time_since_epoch() / 1us;
    const std::string prefix = "kills_" + std::to_string(now) + "_";

    const std::string input = prefix + "events";
    if (!ends_well(apart([&] { write_events(input); }))) return 2;
    const std::vector<std::string> expected = model(work, false);
    tests::random_numbers random(seed);
    counts c;
    // Each form has its share, a run at a time.
    std::vector<std::uint64_t> kills_of(forms.size(), 0);
    for (std::size_t i = 0; c.kills < goal && c.differences == 0; i = (i + 1) % forms.size()) {
        const std::uint64_t before = c.kills;
        run(input, prefix + std::to_string(c.runs), expected, forms[i], mistake::none,
            std::min(goal, before + std::max<std::uint64_t>(8, goal / 20)), random, s, c);
        kills_of[i] += c.kills - before;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

    bool all_found = true;
    for (const kafka_recovery form : forms)
        for (const mistake m : {mistake::no_look_at_marker, mistake::commit_before_checkpoint}) {
            const bool is_first = m == mistake::no_look_at_marker;
            const char* const what =
                is_first ? "a recovery without a look at the marker" : "a commit before the checkpoint";
            const char* const how = form == kafka_recovery::roll_back ? "rolling back" : "writing ahead";
            counts found;
            while (found.differences == 0 && found.kills < 150)
                run(input, prefix + (is_first ? "m" : "c") + how[0] + std::to_string(found.runs), expected, form, m,
                    found.kills + 15, random, s, found);
            std::printf("%s, %s: %s by %llu kills\n", how, what, found.differences ? "found" : "NOT FOUND",
                        static_cast<unsigned long long>(found.kills));
            all_found &= found.differences != 0;
        }
    for (std::size_t k = 0; k != forms.size(); ++k)
        std::printf("%s: %llu kills\n", forms[k] == kafka_recovery::roll_back ? "rolling back" : "writing ahead",
                    static_cast<unsigned long long>(kills_of[k]));
    std::printf("%llu runs of %zu results; %llu kills, %llu inside a call to the file system, %llu inside a commit or "
                "a recovery, %llu soon after another\n",
                static_cast<unsigned long long>(c.runs), expected.size(), static_cast<unsigned long long>(c.kills),
                static_cast<unsigned long long>(c.in_checkpoint), static_cast<unsigned long long>(c.in_commit),
                static_cast<unsigned long long>(c.soon));
    std::printf("torture R1-kafka %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(c.kills), static_cast<unsigned long long>(goal),
                static_cast<unsigned long long>(c.differences), static_cast<unsigned long long>(seed), took.count());
    return c.differences == 0 && all_found && c.in_commit * 5 >= c.kills ? 0 : 1;
}
