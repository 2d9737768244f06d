// What a power failure or a failing call at any moment does to a log: it loses nothing that was acknowledged, shows
// nothing in part, and opens again. With RUNNEL_TORTURE=1 in the environment in full numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace runnel::testing;

namespace {

bool in_full() {
    const char* wish = std::getenv("RUNNEL_TORTURE");
    return wish && *wish && *wish != '0';
}

/// When something began and when it was acknowledged, in operations of the disk.
struct moment {
    static constexpr std::size_t never = SIZE_MAX;
    std::size_t tried = never;
    std::size_t done = never;
};

/// What is known of a record, by its value, of which there is only one.
struct fact {
    std::optional<std::string> key;
    std::int64_t time = 0;
    std::optional<std::uint64_t> offset;  // of one that is in no transaction
    moment appended;
    std::size_t transaction = 0;          // 1 + its place in `transactions`
};

struct transaction_fact {
    std::uint64_t checkpoint = 0;
    moment prepared, committed, aborted;
};

/// Who uses a log in every way, and knows what it was promised.
class made_up_user {
public:
    made_up_user(std::uint64_t seed, file_system& files, const memory_file_system& disk)
        : random_(seed),
          disk_(disk),
          compacts_(seed % 2 == 0),
          retains_(seed % 3 == 0),
          log_("/log", {&files, &clock_}) {}

    /// Does something. Throws what the log throws, and can then go on.
    void step() {
        if (!topic_) topic_ = log_.topic("t", {.partitions = 2});
        if (!out_) {
            log_writer_options options{.batch_bytes = 200, .segment_bytes = 1500};
            if (retains_) options.retain_bytes = 8000;
            out_.emplace(topic_->writer(0, options));
            resolve(*out_, disk_.operations());
        }
        clock_.advance(std::chrono::minutes(1));
        switch (random_.below(12)) {
            case 0: return transact(true);
            case 1: return transact(false);
            case 2: {
                if (open_) return finish_transaction();
                return;
            }
            case 3:
                if (!open_) begin_transaction();
                return;
            case 4: {
                const std::uint64_t position = random_.below(1000);
                position_.emplace_back(moment{disk_.operations(), moment::never}, position);
                topic_->group("g").commit(0, position);
                position_.back().first.done = disk_.operations();
                return;
            }
            case 5:
                if (random_.chance(40)) {
                    abandon();
                    out_.reset();
                }
                return;
            case 6:
                if (compacts_ && random_.chance(50)) out_->compact(duration::zero());
                return;
            default: {
                const std::size_t n = 1 + random_.below(5);
                std::vector<std::string> values;
                for (std::size_t i = 0; i != n; ++i) values.push_back(append());
                out_->flush();
                for (const std::string& v : values) facts_[v].appended.done = disk_.operations();
            }
        }
    }
    /// Ends without a word, as a process that dies.
    void drop() {
        try {
            open_.reset();
            out_.reset();
        } catch (const error&) {
        }
        topic_.reset();
        dropped_ = true;
    }

    /// Empty if all is well on a disk as it was after `n` operations, or what is left of it.
    std::string difference(file_system& files, std::size_t n) const {
        try {
            manual_clock clock(timestamp(std::chrono::hours(100)));
            log_folder log("/log", {&files, &clock});
            if (log.topics().empty()) return any_done(n) ? "there is no topic" : "";
            const log_topic topic = log.topic("t");
            if (const auto p = topic.group("g").position(0); !possible(p, n)) return "a wrong position of a group";
            log_writer out = topic.writer(0);
            if (std::string wrong = resolve(out, n); !wrong.empty()) return wrong;
            if (std::string wrong = look(topic, n); !wrong.empty()) return wrong;
            out.append({.time = {}, .value = "more"});
            out.flush();
            const auto all = test::values(topic);
            return !all.empty() && all.back() == "more" ? "" : "more cannot be read";
        } catch (const std::exception& e) {
            return e.what();
        }
    }

private:
    log_record make(const std::string& value) {
        fact& f = facts_[value];
        f.time = random_.between(-100, 100);
        if (random_.chance(60)) f.key = std::to_string(random_.below(6));
        f.appended.tried = disk_.operations();
        order_.push_back(value);
        log_record r{.time = timestamp(f.time), .value = value};
        if (f.key) r.key = *f.key;
        return r;
    }
    std::string next_value() { return std::to_string(facts_.size()) + std::string(random_.below(80), '.'); }
    std::string append() {
        const std::string value = next_value();
        facts_[value].offset = out_->append(make(value));
        return value;
    }
    void begin_transaction() {
        transactions_.push_back({});
        open_.emplace(out_->begin("w"));
        append_to_transaction();
    }
    void append_to_transaction() {
        for (std::size_t i = 1 + random_.below(4); i != 0; --i) {
            const std::string value = next_value();
            const log_record r = make(value);
            facts_[value].transaction = transactions_.size();
            open_->append(r);
        }
    }
    void finish_transaction() {
        append_to_transaction();
        transaction_fact& t = transactions_.back();
        t.checkpoint = ++checkpoint_;
        t.prepared.tried = disk_.operations();
        open_->prepare(t.checkpoint);
        t.prepared.done = disk_.operations();
        open_.reset();
        if (random_.chance(30)) append();
        t.committed.tried = disk_.operations();
        out_->commit("w", t.checkpoint);
        t.committed.done = disk_.operations();
    }
    void abandon() {
        if (!open_) return;
        transactions_.back().aborted.tried = disk_.operations();
        open_.reset();
    }
    void transact(bool commits) {
        abandon();
        begin_transaction();
        if (commits) finish_transaction();
        else abandon();
    }

    /// Decides what is prepared, by its number: those that were to be committed are, of the others the even ones.
    std::string resolve(log_writer& out, std::size_t n) const {
        const std::vector<log_prepared> waiting = out.prepared();
        for (const transaction_fact& t : transactions_) {
            const bool waits = std::count(waiting.begin(), waiting.end(), log_prepared{"w", t.checkpoint}) != 0;
            if (t.prepared.done <= n && t.committed.tried > n && !waits) return "a prepared transaction is gone";
        }
        for (const log_prepared& p : waiting)
            if (to_be_committed(p.checkpoint, n)) out.commit("w", p.checkpoint);
            else out.abort_after("w", p.checkpoint - 1);
        if (!out.prepared().empty()) return "a decided transaction is prepared";
        return {};
    }
    bool to_be_committed(std::uint64_t checkpoint, std::size_t n) const {
        for (const transaction_fact& t : transactions_)
            if (t.checkpoint == checkpoint) return t.committed.tried <= n || checkpoint % 2 == 0;
        return false;
    }

    bool any_done(std::size_t n) const {
        return std::any_of(facts_.begin(), facts_.end(), [&](const auto& f) { return f.second.appended.done <= n; });
    }
    bool possible(std::optional<std::uint64_t> p, std::size_t n) const {
        std::set<std::uint64_t> good;
        bool none = true;
        for (const auto& [when, position] : position_) {
            if (when.tried > n) break;
            if (when.done <= n) {
                good.clear();
                none = false;
            }
            good.insert(position);
        }
        return p ? good.count(*p) != 0 : none;
    }

    std::string look(const log_topic& topic, std::size_t n) const {
        const std::uint64_t first = topic.first_offset(0);
        std::map<std::string, std::uint64_t> seen;
        std::optional<std::uint64_t> last;
        for (const test::kept_record& r : test::read_all(topic)) {
            const auto f = facts_.find(r.value.value_or(""));
            if (f == facts_.end() || f->second.appended.tried > n) return "a record that nobody appended";
            if (f->second.key != r.key || f->second.time != r.time) return "a record with another one's key or time";
            if (f->second.offset && *f->second.offset != r.offset) return "a record of another offset";
            if (last && r.offset <= *last) return "records out of order";
            last = r.offset;
            if (!seen.emplace(*r.value, r.offset).second) return "a record twice";
        }
        // What may have been compacted away: of the same key, one that is left must have a later offset.
        std::map<std::string, std::uint64_t> latest;
        for (const auto& [value, offset] : seen)
            if (const fact& f = facts_.at(value); f.key) latest[*f.key] = std::max(latest[*f.key], offset);
        for (std::size_t i = 0; i != order_.size(); ++i) {
            const fact& f = facts_.at(order_[i]);
            if (f.appended.tried > n) break;
            bool must = f.appended.done <= n;
            // No gaps: unless an offset was given anew after a failure, what is before another record is there.
            if (f.offset && last && !dropped_) must = must || *f.offset < *last;
            if (f.transaction != 0) {
                const transaction_fact& t = transactions_[f.transaction - 1];
                if (t.prepared.tried > n && seen.count(order_[i])) return "a record of a transaction that was aborted";
                must = t.prepared.done <= n && to_be_committed(t.checkpoint, n);
            }
            const bool replaced = compacts_ && f.key && latest.count(*f.key) && latest[*f.key] > f.offset.value_or(0);
            const bool removed = retains_ && (!f.offset || *f.offset < first);
            if (must && !replaced && !removed && !seen.count(order_[i])) return "record " + order_[i] + " is lost";
        }
        return {};
    }

    tests::random_numbers random_;
    const memory_file_system& disk_;
    bool dropped_ = false;
    bool compacts_;
    bool retains_;
    manual_clock clock_{timestamp(std::chrono::hours(1))};
    log_folder log_;
    std::optional<log_topic> topic_;
    std::optional<log_writer> out_;
    std::optional<log_transaction> open_;
    std::uint64_t checkpoint_ = 0;
    std::map<std::string, fact> facts_;
    std::vector<std::string> order_;
    std::vector<transaction_fact> transactions_;
    std::vector<std::pair<moment, std::uint64_t>> position_;
};

TEST_CASE("a power failure at any moment loses nothing acknowledged, shows nothing in part, and the log opens again") {
    const auto started = std::chrono::steady_clock::now();
    const std::uint64_t first_seed = 600;
    const std::size_t goal = in_full() ? 100'000 : 1'500;
    const std::size_t runs = 6;
    std::size_t count = 0;
    int differences = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
        CAPTURE(seed);
        memory_file_system disk;
        made_up_user user(seed, disk, disk);
        const std::size_t length = in_full() ? 2000 : 500;
        while (disk.operations() < length) user.step();
        tests::random_numbers random(seed);
        const auto check = [&](std::size_t n, survivors what, std::uint64_t chance) {
            const auto left = disk.crash_image(n, what, chance);
            ++count;
            const std::string wrong = user.difference(*left, n);
            if (wrong.empty()) return;
            if (++differences < 10)
                MESSAGE("after operation " << n << " (" << (n == 0 ? "" : disk.operation(n - 1)) << "), survivors "
                                           << static_cast<int>(what) << " " << chance << ": " << wrong);
        };
        const std::size_t some = std::max<std::size_t>(1, goal / runs / length);
        for (std::size_t n = 0; n <= disk.operations(); n += in_full() ? 1 : 1 + random.below(5)) {
            for (const survivors what : {survivors::none, survivors::all, survivors::names, survivors::contents})
                check(n, what, 0);
            for (std::size_t i = 0; i != some; ++i) check(n, survivors::some, random.seed());
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    std::printf("torture R3 %zu of %d differences %d seed %llu seconds %.1f\n", count, 100'000, differences,
                static_cast<unsigned long long>(first_seed), took.count());
    CHECK(differences == 0);
}

TEST_CASE("a failing call at any moment is reported, and nothing acknowledged before or after is lost") {
    const auto started = std::chrono::steady_clock::now();
    const std::uint64_t first_seed = 700;
    std::size_t count = 0;
    int differences = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + (in_full() ? 12 : 3); ++seed) {
        CAPTURE(seed);
        const std::size_t steps = in_full() ? 150 : 60;
        // Calls are counted first, then each fails once.
        const auto run = [&](failing_calls failing) {
            memory_file_system disk;
            failing_file_system files(disk, failing);
            made_up_user user(seed, files, disk);
            for (std::size_t i = 0; i != steps; ++i) {
                try {
                    user.step();
                } catch (const io_error&) {
                    user.drop();
                }
            }
            user.drop();
            const std::size_t calls = files.calls();
            ++count;
            for (const survivors what : {survivors::all, survivors::none}) {
                const std::string wrong =
                    user.difference(*disk.crash_image(disk.operations(), what), disk.operations());
                if (!wrong.empty() && ++differences < 10)
                    MESSAGE("call " << failing.first << ", " << static_cast<int>(failing.how) << ", "
                                    << files.first_failure() << ": " << wrong);
            }
            return calls;
        };
        const std::size_t calls = run({});
        tests::random_numbers random(seed);
        for (const call_failure how : {call_failure::before, call_failure::halfway, call_failure::afterwards,
                                       call_failure::shortened})
            for (std::size_t n = 1; n <= calls; n += in_full() ? 1 : 1 + random.below(30))
                run({n, how, random.chance(50) ? EIO : ENOSPC, false});
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    std::printf("torture R6 %zu of %zu differences %d seed %llu seconds %.1f\n", count, count, differences,
                static_cast<unsigned long long>(first_seed), took.count());
    CHECK(differences == 0);
}

}  // namespace
