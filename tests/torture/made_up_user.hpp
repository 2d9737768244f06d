#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

namespace test {

using namespace runnel;
using namespace runnel::testing;

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
            const auto all = values(topic);
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
        for (const kept_record& r : read_all(topic)) {
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

inline void print_log_result(const char* id, std::size_t count, std::size_t goal, std::size_t differences,
                             std::uint64_t seed, std::chrono::steady_clock::time_point began) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture %s %zu of %zu differences %zu seed %llu seconds %.1f\n", id, count, goal, differences,
                static_cast<unsigned long long>(seed), took.count());
}

}  // namespace test
