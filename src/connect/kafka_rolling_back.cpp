#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka_exactly_once.hpp"
#include "kafka_outlet.hpp"
#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

/// Tells the checkpoints of one life of a job from those of others, which may have the same numbers.
std::string new_life() {
    std::random_device device;
    std::uint64_t n = 0;
    for (int i = 0; i != 2; ++i) n = n << 32 | (device() & 0xffffffff);
    char text[17] = {};
    return std::string(text, std::to_chars(text, text + 16, n, 16).ptr);
}

/// What one writer prepares for a checkpoint: "rolls back LIFE WRITER NUMBER". Only the sink that has been written to
/// reads all of it; after a crash, it is the life that tells.
struct kafka_part {
    std::string life;
    std::size_t writer = 0;
    std::uint64_t number = 0;

    std::string encode() const {
        return std::string(kafka_rolled_back) + life + ' ' + std::to_string(writer) + ' ' + std::to_string(number);
    }
    /// What is not such a part is one of no life.
    static kafka_part of(std::string_view text) {
        kafka_part p;
        if (!text.starts_with(kafka_rolled_back)) return p;
        text.remove_prefix(kafka_rolled_back.size());
        const std::size_t space = text.find(' ');
        p.life = text.substr(0, space);
        if (space == text.npos) return p;
        const char* const end = text.data() + text.size();
        const char* const at = std::from_chars(text.data() + space + 1, end, p.writer).ptr;
        if (at != end) std::from_chars(at + 1, end, p.number);
        return p;
    }
};

/// The transaction that a job has open, from its start until it fails or ends, and who writes to it.
/// Thread safety: safe, but for `commit`, which one thread at a time calls.
class kafka_open_transaction {
public:
    explicit kafka_open_transaction(std::unique_ptr<kafka_transactions> into) : outlet_(std::move(into)) {}

    kafka_outlet& outlet() noexcept { return outlet_; }
    kafka_transactions& transactions() noexcept { return outlet_.transactions(); }
    const std::string& life() const noexcept { return life_; }

    std::size_t add(std::function<void()> wake) {
        const std::lock_guard lock(mutex_);
        writers_.push_back({std::move(wake), 0, 0});
        return writers_.size() - 1;
    }
    /// The writer goes: it is not woken any more.
    void remove(std::size_t writer) {
        const std::lock_guard lock(mutex_);
        writers_[writer].wake = nullptr;
    }
    /// Whether what a writer writes now belongs to the checkpoint that is committed next; else it is woken when it
    /// does.
    bool takes(std::size_t writer) {
        const std::lock_guard lock(mutex_);
        if (writers_[writer].prepared != writers_[writer].answered) return false;
        if (transactions().is_open()) return true;
        try {
            transactions().begin();
        } catch (...) {
            outlet_.fail();
            throw;
        }
        return true;
    }
    std::string prepare(std::size_t writer) {
        const std::lock_guard lock(mutex_);
        return kafka_part{life_, writer, ++writers_[writer].prepared}.encode();
    }
    /// It is known what becomes of these: their writers go on.
    void answer(const std::vector<std::string>& prepared) {
        const std::lock_guard lock(mutex_);
        for (const std::string& text : prepared) {
            const kafka_part part = kafka_part::of(text);
            if (part.life != life_ || part.writer >= writers_.size()) continue;
            writer& w = writers_[part.writer];
            w.answered = std::max(w.answered, part.number);
            if (w.wake) w.wake();
        }
    }
    bool has_failed() const noexcept { return failed_ || outlet_.has_failed(); }
    /// All writers have prepared, and wait.
    void commit(checkpoint_id id) {
        // Only what has come to its end is gone on with: else the marker in the cluster has to be read.
        if (has_failed()) throw error("an earlier transaction has failed. Start the job again.");
        failed_ = true;
        if (!transactions().is_open()) transactions().begin();
        transactions().mark(id, life_);
        transactions().commit();
        failed_ = false;
    }

private:
    struct writer {
        std::function<void()> wake;
        std::uint64_t prepared, answered;  ///< Numbers of its parts.
    };

    kafka_outlet outlet_;
    const std::string life_ = new_life();
    std::mutex mutex_;
    std::deque<writer> writers_;  // under mutex_
    std::atomic<bool> failed_ = false;  ///< A commit that has not come to its end.
};

/// Results go into the open transaction as they come. Marker and commit follow when the checkpoint is durable; a
/// checkpoint whose marker is not there is given up when the job starts again, so that its results come again.
class kafka_rolling_back final : public sink<kafka_output> {
public:
    kafka_rolling_back(kafka_target to, std::string transactional_id)
        : to_(std::move(to)), transactional_id_(std::move(transactional_id)) {}

    std::string name() const override { return "kafka " + to_.topic; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override {
        return kafka_target_problems(to_, transactional_id_.empty() ? "PIPELINE/SINK" : transactional_id_);
    }
    bool is_transactional() const override { return true; }
    bool needs_checkpoints() const override { return true; }
    bool rolls_back() const override { return true; }
    duration longest_transaction() const override {
        const auto set = to_.cluster.settings.find("transaction.timeout.ms");
        std::int64_t ms = 60'000;
        // What is no number is refused as a setting.
        if (set != to_.cluster.settings.end())
            std::from_chars(set->second.data(), set->second.data() + set->second.size(), ms);
        return std::chrono::milliseconds(ms);
    }
    std::string trouble() const override {
        const std::shared_ptr<kafka_open_transaction> now = current();
        if (!now) return {};
        std::string of_records = now->outlet().trouble();
        return of_records.empty() ? now->transactions().trouble() : of_records;
    }
    bool is_at(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        return unless_shut_out([&] {
            kafka_transactions& t = begin(owner);
            // Without a marker, `recover` has something to say.
            return !t.marker() || is_of(id, prepared, t);
        });
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        unless_shut_out([&] {
            kafka_transactions& t = begin(owner);
            if (!t.marker()) {
                if (was_rolling_back(prepared) || !has_no_results(prepared))
                    refuse_lost_marker(name(), to_.topic, group(owner), id, id - 1);
            } else if (!is_of(id, prepared, t)) {
                refuse(id, owner, prepared, t);
            }
            // From here on there is one, so that it cannot get lost unseen.
            if (t.marker() != id) current()->commit(id);
        });
    }
    void commit(checkpoint_id id, const std::string&, const std::vector<std::string>& prepared) override {
        const std::shared_ptr<kafka_open_transaction> now = current();
        if (now->transactions().marker() != id) now->commit(id);
        now->answer(prepared);
    }
    void postpone(const std::vector<std::string>& prepared) override { current()->answer(prepared); }
    std::unique_ptr<sink_writer<kafka_output>> open(const sink_context& context) override {
        is_new_ = false;
        return std::make_unique<writer>(current(), context.wake);
    }

private:
    class writer final : public sink_writer<kafka_output> {
    public:
        writer(std::shared_ptr<kafka_open_transaction> into, const std::function<void()>& wake)
            : into_(std::move(into)),
              number_(into_->add(wake)),
              to_(std::shared_ptr<kafka_outlet>(into_, &into_->outlet()), wake) {}
        ~writer() override { into_->remove(number_); }

        progress write(batch<kafka_output>& records) override {
            return all_arrive([&] {
                try {
                    return into_->takes(number_) ? to_.write(records) : progress::blocked;
                } catch (...) {
                    // Then no record is to blame, and none can be left out any more.
                    if (into_->has_failed()) records.consume_until(records.size());
                    throw;
                }
            });
        }
        progress flush() override {
            return all_arrive([&] { return to_.flush(); });
        }
        progress settle() override {
            return all_arrive([&] { return to_.settle(); });
        }
        std::string prepare() override { return into_->prepare(number_); }

    private:
        /// What has not arrived ends the job, whatever the policy for errors is.
        template <class F>
        progress all_arrive(F f) {
            try {
                return f();
            } catch (const record_error& e) {
                std::rethrow_exception(e.cause());
            }
        }

        std::shared_ptr<kafka_open_transaction> into_;
        const std::size_t number_;
        kafka_writer to_;
    };

    std::string group(const std::string& owner) const { return transactional_id_.empty() ? owner : transactional_id_; }
    std::shared_ptr<kafka_open_transaction> current() const {
        const std::lock_guard lock(mutex_);
        return current_;
    }
    void set(std::shared_ptr<kafka_open_transaction> next) {
        const std::lock_guard lock(mutex_);
        current_.swap(next);
    }
    /// Shuts out whoever has written before, and reads the marker; once for all that a start has to ask.
    kafka_transactions& begin(const std::string& owner) {
        if (!is_new_ || current()->has_failed()) {
            // Its writers may still be there; what they have written is not to be seen, nor waited for.
            if (const auto before = current()) before->transactions().abort();
            is_new_ = false;
            set(nullptr);
            set(std::make_shared<kafka_open_transaction>(std::make_unique<kafka_transactions>(to_, group(owner))));
            is_new_ = true;
        }
        return current()->transactions();
    }
    static bool is_of(checkpoint_id id, const std::vector<std::string>& prepared, const kafka_transactions& t) {
        if (*t.marker() == id)
            return t.marked_by().empty() || std::all_of(prepared.begin(), prepared.end(), [&](const std::string& p) {
                       const std::string life = kafka_part::of(p).life;
                       return life.empty() || life == t.marked_by();
                   });
        if (*t.marker() > id || prepared.empty() || was_rolling_back(prepared)) return false;
        // One that writes ahead leaves the marker where it is when there is nothing to write.
        const std::vector<write_ahead_part> parts = read_parts(prepared);
        return std::all_of(parts.begin(), parts.end(),
                           [&](const write_ahead_part& p) { return p.count == 0 && p.after <= *t.marker(); });
    }
    [[noreturn]] void refuse(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared,
                             const kafka_transactions& t) const {
        const std::string there = std::to_string(*t.marker()), n = std::to_string(id), of = group(owner);
        const std::string what = name() + " (owner '" + owner + "') holds ";
        const std::string by_hand = "; or, if the topic holds the results up to checkpoint " + n +
                                    " and no others, set the offset of group '" + of + "' for partition 0 of topic \"" +
                                    to_.topic + "\" to " + n + " (kafka-consumer-groups --reset-offsets).";
        if (*t.marker() == id)
            throw checkpoint_error(what + "the results of another checkpoint " + n +
                                   " than that which the job goes on from, which was made before a crash and given up. "
                                   "Go on from the checkpoints in the job's own folder, or from a later savepoint" +
                                   by_hand);
        const std::string begins = id == 0 ? "begins without a checkpoint" : "goes on from checkpoint " + n;
        if (*t.marker() > id)
            throw checkpoint_error(what + "the results up to checkpoint " + there + ", and the job " + begins +
                                   ": results would come twice. Go on from checkpoint " + there +
                                   ", in the folder where it was made" + by_hand);
        const std::string last = *t.marker() == 0 ? "no results" : "the results up to checkpoint " + there;
        throw checkpoint_error(what + last + ", and the job " + begins + ", and has no checkpoint " + there +
                               " to go back to: results would be lost. Go on from " +
                               (*t.marker() == 0 ? std::string("an empty folder") : "checkpoint " + there) +
                               (was_rolling_back(prepared) ? "; if that is a savepoint, give it as restore once more"
                                                           : "; or name the sink anew") +
                               by_hand);
    }

    const kafka_target to_;
    const std::string transactional_id_;
    mutable std::mutex mutex_;
    std::shared_ptr<kafka_open_transaction> current_;  // under mutex_
    bool is_new_ = false;                              ///< Nobody has written yet.
};

}  // namespace

std::shared_ptr<sink<kafka_output>> make_kafka_rolling_back(kafka_target to, std::string transactional_id) {
    return std::make_shared<kafka_rolling_back>(std::move(to), std::move(transactional_id));
}

}  // namespace runnel::detail
