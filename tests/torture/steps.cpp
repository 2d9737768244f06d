// R2: at each step of a checkpoint the process dies, or power fails, or the step throws, or what it asks of the file
// system fails or is done in part, or it takes long, while all else goes on or until its time is over. What is shown in
// the end is what the model says; and what is committed or acknowledged is durable before.
//
// The steps are those that the library names; one that has no case here, or is never come to, is a difference. So is
// whatever is changed in the folder of checkpoints by none of them. Some programs write to a sink that rolls back.
//
// steps [ROUNDS [SEED]]: each step and fault so many times.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/core/checkpoint_step.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/rolling_back_sink.hpp"
#include "tests/torture/program.hpp"

using namespace torture;
using testing::call_failure;
using testing::survivors;
using step = checkpoint_step;

namespace {

/// What a step asks of the file system, by the names that `failing_file_system` has for it.
struct step_case {
    step of;
    std::vector<std::string> calls = {};
};

const std::vector<step_case> cases = {
    {step::set_aside, {"remove", "sync folder"}},
    {step::recover, {"rename", "remove", "sync folder", "open", "write to", "sync"}},
    {step::ask},
    {step::send_barrier},
    {step::take_barrier},
    {step::align},
    {step::prepare, {"write to", "sync", "sync folder"}},
    {step::save},
    {step::hand_over},
    {step::assemble},
    {step::write_data, {"create", "write to"}},
    {step::sync_data, {"sync"}},
    {step::sync_data_folder, {"sync folder"}},
    {step::write_manifest, {"create", "write to"}},
    {step::sync_manifest, {"sync"}},
    {step::rename_manifest, {"rename"}},
    {step::sync_manifest_folder, {"sync folder"}},
    {step::commit, {"rename", "sync folder", "open", "write to", "sync"}},
    {step::trim, {"remove", "sync folder"}},
    {step::acknowledge},
};

enum class fault { kill, power, exception, slow, timeout, eio, enospc, shortened };

struct trial {
    step at;
    fault what;
    std::string call = "";  ///< That fails.
};

std::string text_of(const trial& t) {
    const char* const names[] = {"kill", "power failure", "exception", "slow",
                                 "timeout", "EIO", "ENOSPC", "short write"};
    return std::string(name_of(t.at)) + ": " + names[static_cast<int>(t.what)] +
           (t.call.empty() ? "" : " of " + t.call);
}

std::vector<trial> all_trials(std::uint64_t& differences) {
    std::vector<trial> all;
    for (std::size_t i = 0; i < checkpoint_steps; ++i) {
        const auto at = static_cast<step>(i);
        const auto found = std::find_if(cases.begin(), cases.end(), [&](const step_case& c) { return c.of == at; });
        if (found == cases.end()) {
            std::printf("step %s has no case\n", name_of(at));
            ++differences;
            continue;
        }
        for (const fault f : {fault::kill, fault::power, fault::exception, fault::slow, fault::timeout})
            all.push_back({at, f});
        for (const std::string& call : found->calls) {
            for (const fault f : {fault::eio, fault::enospc}) all.push_back({at, f, call});
            if (call == "write to") all.push_back({at, fault::shortened, call});
        }
    }
    return all;
}

/// How checkpoints are asked for.
enum class asking { by_interval, by_program, with_savepoints };

/// A life of the job: what happens in it, where and when.
struct life {
    std::optional<trial> what = {};
    std::size_t skip = 0;  ///< So many times the step is taken before.
    call_failure how = call_failure::before;
    std::size_t tolerated = 0;
    bool restarts = false;
    asking asks = asking::by_interval;
    std::uint64_t seed = 0;
    bool rolls_back = false;
};

constexpr auto timeout = std::chrono::milliseconds(10);

/// Is told of the steps, and does there what is to be done.
class tormentor {
public:
    /// `disk`: null if what is durable cannot be told.
    tormentor(const life& l, testing::sim_executor& sim, testing::failing_file_system& files,
              testing::memory_file_system* disk)
        : life_(l), sim_(sim), files_(files), disk_(disk) {}

    void tell(step at, checkpoint_id id) {
        check_changes();
        current_ = at;
        if (static_cast<std::size_t>(at) >= checkpoint_steps) complain("there is a step that is not counted");
        if (disk_ && id != 0 && (at == step::commit || at == step::acknowledge) && !is_savepoint_) {
            const auto image = disk_->crash_image(disk_->operations(), survivors::none);
            if (newest_checkpoint(*image, "/checkpoints") < id)
                complain(std::string(name_of(at)) + ", and the checkpoint is not durable");
            if (at == step::acknowledge)
                for (const std::string& path : disk_->files())
                    if (path.starts_with("/out/") && !path.starts_with("/out/.") && !image->exists(path))
                        complain("acknowledged, and \"" + path + "\" is not durable");
        }
        if (files_.failures() != 0) happened_ = true;
        files_.restart({});
        if (happened_ || !life_.what || at != life_.what->at || skipped_++ < life_.skip) return;
        switch (life_.what->what) {
            case fault::kill: std::raise(SIGKILL); return;
            case fault::power:
                happened_ = true;
                died_at_ = disk_->operations();
                return;
            case fault::exception: happened_ = true; throw std::runtime_error("the step fails");
            case fault::slow:
                happened_ = true;
                for (int i = 0; i < 200 && sim_.step(); ++i) continue;
                return;
            case fault::timeout:
                happened_ = true;
                sim_.clock().pass(2 * timeout);
                return;
            case fault::eio: return files_.restart({1, life_.how, EIO, false, life_.what->call});
            case fault::enospc: return files_.restart({1, life_.how, ENOSPC, false, life_.what->call});
            case fault::shortened: return files_.restart({1, call_failure::shortened, 0, false, life_.what->call});
        }
    }
    /// The store is open: from here on, the folder of checkpoints is changed by steps only.
    void begin() { looked_at_ = disk_ ? disk_->operations() : 0; }
    void end() { check_changes(); }
    bool happened() const { return happened_ || files_.failures() != 0; }
    std::optional<std::size_t> died_at() const { return died_at_; }
    std::uint64_t differences() const { return differences_; }
    /// A savepoint is on its way: what it holds is committed later.
    void is_savepoint(bool is) { is_savepoint_ = is; }

private:
    void complain(const std::string& what) {
        std::printf("%s\n", what.c_str());
        ++differences_;
    }
    /// What was changed since the last step was told of.
    void check_changes() {
        if (!looked_at_) return;
        for (; disk_ && *looked_at_ < disk_->operations(); ++*looked_at_) {
            const std::string what = disk_->operation(*looked_at_);
            if (what.find("\"/checkpoints") == what.npos || !current_ || happened()) continue;
            const auto at =
                std::find_if(cases.begin(), cases.end(), [&](const step_case& c) { return c.of == *current_; });
            const auto is_it = [&](const std::string& call) {
                return what.starts_with(call.substr(0, call.find(" to")));
            };
            if (at == cases.end() || std::none_of(at->calls.begin(), at->calls.end(), is_it))
                complain("behind " + std::string(name_of(*current_)) + ", and no step of its own: " + what);
        }
    }

    const life& life_;
    testing::sim_executor& sim_;
    testing::failing_file_system& files_;
    testing::memory_file_system* disk_;
    std::optional<step> current_;
    std::optional<std::size_t> looked_at_;
    std::optional<std::size_t> died_at_;
    std::size_t skipped_ = 0;
    bool happened_ = false;
    bool is_savepoint_ = false;
    std::uint64_t differences_ = 0;
};

enum class ending { well, failed, dead };

struct outcome {
    ending how = ending::failed;
    bool happened = false;
    std::uint64_t differences = 0;
    std::size_t died_at = 0;
    std::string why = "";
};

pipeline made(const parameters& p, const life& l, const std::string& out, file_system& files) {
    if (!l.rolls_back) return program(p, out, files);
    const tests::rolling_back_sink::settings to{.files = &files};
    return program(p, generate(p.events, maker{p}, {.splits = p.splits, .rate = p.rate}),
                   std::make_shared<tests::rolling_back_sink>(out, to), nullptr);
}

/// Lives in folder `root` of `real`, which is `disk` if that is not null.
outcome live(const parameters& p, const life& l, const std::string& root, file_system& real,
             testing::memory_file_system* disk) {
    tests::random_numbers random(l.seed);
    testing::sim_executor sim(random.seed());
    testing::failing_file_system files(real);
    tormentor told(l, sim, files, disk);
    outcome o;
    job_options options{.parallelism = 1 + random.below(3), .batch_size = 2, .channel_capacity = 2, .executor = &sim,
                        .clock = &sim.clock()};
    options.checkpoints = {.folder = root + "/checkpoints",
                           .interval = l.asks == asking::by_program ? duration(0) : std::chrono::microseconds(8),
                           .timeout = timeout,
                           .tolerated_failures = l.tolerated,
                           .executor = &sim,
                           .files = &files,
                           .on_step = [&](step at, checkpoint_id id) { told.tell(at, id); }};
    if (l.restarts) options.restart = fixed_delay(2, std::chrono::microseconds(5));
    try {
        job running = made(p, l, root + "/out", files).start(options);
        told.begin();
        for (std::size_t n = 0; !running.is_done() && !told.died_at(); ++n) {
            if (n % 40 == 39 && l.asks != asking::by_interval) {
                try {
                    if (l.asks == asking::by_program) {
                        running.checkpoint();
                    } else {
                        told.is_savepoint(true);
                        running.savepoint(root + "/savepoints/" + std::to_string(l.seed) + "-" + std::to_string(n));
                        told.is_savepoint(false);
                    }
                } catch (const error&) {
                    told.is_savepoint(false);
                }
            }
            if (!sim.step() && !running.is_done())
                throw std::logic_error("nothing is left to do, and the job is not over");
        }
        if (told.died_at()) {
            o.how = ending::dead;
        } else {
            running.wait();
            told.end();
            o.how = ending::well;
        }
    } catch (const std::logic_error& e) {
        o.why = e.what();
        ++o.differences;
    } catch (const std::exception& e) {
        o.why = e.what();
    }
    o.happened = told.happened();
    o.died_at = told.died_at().value_or(0);
    o.differences += told.differences();
    return o;
}

/// The same in a process of its own.
outcome live_apart(const parameters& p, const life& l, const std::string& root) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(live(p, l, root, default_file_system(), nullptr).how == ending::well ? 0 : 1);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) throw std::runtime_error("cannot start a process");
    outcome o;
    o.happened = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    o.how = o.happened ? ending::dead : ending::well;
    if (!o.happened && status != 0) o = {ending::failed, false, 1, 0, "the process has failed before it was killed"};
    return o;
}

/// Empty if all is well; otherwise what is not. `happened` tells if the step was come to.
std::string run(const trial& t, std::uint64_t seed, std::size_t skip, bool& happened) {
    tests::random_numbers random(seed);
    const parameters p = small_program(400, random.seed());
    // An earlier life has ended while results were being made visible, so there is something to recover.
    const bool is_apart = t.what == fault::kill;
    // What other sinks do with files, one that rolls back does not.
    const bool is_of_files = !t.call.empty() && (t.at == step::prepare || t.at == step::recover || t.call == "open");
    const bool rolls_back = t.at == step::set_aside || (!is_of_files && random.chance(50));
    const std::vector<std::string> expected = model(p, !rolls_back);
    const life before{.what = trial{step::commit, is_apart ? fault::kill : fault::power},
                      .skip = random.below(4),
                      .seed = random.seed(),
                      .rolls_back = rolls_back};
    // When nothing else is left to do, time jumps to the end of what a checkpoint may take.
    const bool may_time_out = t.what == fault::timeout || t.what == fault::slow;
    const life now{.what = t,
                   .skip = skip,
                   .how = static_cast<call_failure>(random.below(3)),
                   .tolerated = may_time_out || random.chance(50) ? std::size_t{100} : std::size_t{0},
                   .restarts = random.chance(50),
                   .asks = static_cast<asking>(random.below(3)),
                   .seed = random.seed(),
                   .rolls_back = rolls_back};
    const life after{.seed = random.seed(), .rolls_back = rolls_back};
    if (is_apart) {
        test::temporary_folder place("/dev/shm");
        const std::string root = place / "job";
        file_system& files = default_file_system();
        live_apart(p, before, root);
        const outcome o = live_apart(p, now, root);
        if (o.differences != 0) return o.why;
        happened = o.happened;
        const outcome last = live(p, after, root, files, nullptr);
        if (last.how != ending::well) return "cannot go on: " + last.why;
        return difference(expected, shown(files, root + "/out"), "at the end") == 0 ? "" : "the results are not right";
    }
    auto disk = std::make_unique<testing::memory_file_system>();
    const outcome first = live(p, before, "", *disk, disk.get());
    if (first.how == ending::dead) disk = disk->crash_image(first.died_at, survivors::all);
    const outcome o = live(p, now, "", *disk, disk.get());
    happened = o.happened;
    if (o.differences + first.differences != 0) return "a step is not right" + (o.why.empty() ? "" : ": " + o.why);
    if (o.how == ending::dead) {
        const survivors kinds[] = {survivors::none, survivors::all, survivors::some};
        disk = disk->crash_image(o.died_at, kinds[random.below(3)], random.seed());
    } else if (o.how == ending::failed) {
        const bool may_fail = t.what != fault::slow && t.what != fault::timeout && t.what != fault::shortened;
        if (!o.happened || !may_fail) return "the job has failed: " + o.why;
        if (random.chance(50)) disk = disk->crash_image(disk->operations(), survivors::none);
    }
    if (o.how != ending::well) {
        const outcome last = live(p, after, "", *disk, disk.get());
        if (last.how != ending::well) return "cannot go on: " + last.why;
        if (last.differences != 0) return "a step of the life after is not right";
    }
    return difference(expected, shown(*disk), "at the end") == 0 ? "" : "the results are not right";
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0, done = 0;
    const std::vector<trial> trials = all_trials(differences);
    for (std::uint64_t seed = first; seed < first + rounds; ++seed)
        for (const trial& t : trials) {
            if (differences > 10) break;  // Something is wrong altogether.
            bool happened = false;
            std::string text;
            // Where the step is not taken so often, sooner; and where it is not taken at all, in another program.
            for (std::uint64_t other = 0; other < 8 && !happened && text.empty(); ++other)
                for (std::size_t skip = seed * 5 % 16; !happened && text.empty(); skip /= 2) {
                    text = run(t, seed + other * 1'000'003, skip, happened);
                    if (skip == 0) break;
                }
            if (text.empty() && !happened) text = "never come to";
            done += happened;
            if (text.empty()) continue;
            ++differences;
            std::printf("seed %llu, %s: %s\n", static_cast<unsigned long long>(seed), text_of(t).c_str(), text.c_str());
        }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%zu steps, %zu faults of steps\n", checkpoint_steps, trials.size());
    std::printf("torture R2 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(trials.size() * rounds),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 && done == trials.size() * rounds ? 0 : 1;
}
