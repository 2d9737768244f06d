#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/core/receiver.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/testing/value_text.hpp"

namespace runnel::testing {

/// One side has broken the contract between operators (see core/receiver.hpp); the text says how.
class contract_breach : public error {
public:
    using error::error;
};

/// A signal that has arrived at a recorder, and how many records had come before it.
struct arrived_signal {
    enum class kind : unsigned char { watermark, idle, active, barrier };
    kind what;
    timestamp watermark = timestamp::min();
    checkpoint_id barrier = 0;
    std::size_t records_before = 0;
    friend bool operator==(const arrived_signal&, const arrived_signal&) = default;
};

/// Keeps everything that arrives, refuses when told to, and sees to it that the caller keeps the contract.
///
/// Errors: `contract_breach` if, after `blocked`, another call than the same one comes, or its batch was touched;
/// if a watermark or barrier does not rise; if anything but `flush` comes after the end; if a record's time is
/// outside the bounds of its batch.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
template <class T>
class recorder final : public receiver<T> {
public:
    /// The next `n` calls of any kind are refused and take nothing.
    void refuse_next(std::size_t n) { refuse_next_ = n; }
    /// From now on each call is refused with a chance of `percent` in 100. A refused batch may have been taken in
    /// part, up to the last record; columns may be swapped away.
    void refuse_at_random(std::uint64_t seed, unsigned percent = 50) {
        random_.seed(seed);
        percent_ = percent;
    }
    /// Refuses no more.
    void accept() {
        refuse_next_ = 0;
        percent_ = 0;
    }

    const std::vector<timed<T>>& records() const noexcept { return records_; }
    const std::vector<arrived_signal>& signals() const noexcept { return signals_; }
    std::vector<timestamp> watermarks() const {
        std::vector<timestamp> all;
        for (const arrived_signal& s : signals_)
            if (s.what == arrived_signal::kind::watermark) all.push_back(s.watermark);
        return all;
    }
    /// The watermark `timestamp::max()` has come.
    bool is_finished() const noexcept { return last_watermark_ == timestamp::max(); }
    /// Calls refused so far.
    std::size_t refusals() const noexcept { return refusals_; }
    /// The most records that one batch has brought.
    std::size_t largest_batch() const noexcept { return largest_batch_; }
    /// A call was refused and has not been repeated with success yet.
    bool is_blocking() const noexcept { return pending_.what != call::kind::none; }

    /// Hands over the records kept so far, and forgets them and the signals.
    std::vector<timed<T>> take() {
        signals_.clear();
        return std::exchange(records_, {});
    }
    /// What comes next is from a new caller, that has been restored from a snapshot: no call is pending.
    void caller_restarted() { pending_ = {}; }

    progress on_batch(batch<T>& records) override {
        begin({call::kind::batch, &records, records.size(), records.cursor(), 0});
        if (records.remaining() != 0) not_ended("records");
        largest_batch_ = std::max(largest_batch_, records.size());
        for (std::size_t i = records.cursor(); i < records.size(); ++i)
            if (records.time(i) < records.min_time() || records.time(i) > records.max_time())
                throw contract_breach("a record of time " + to_string(records.time(i)) +
                                      " is outside the bounds of its batch, " + to_string(records.min_time()) + " to " +
                                      to_string(records.max_time()) + ": " + text_of(std::as_const(records).value(i)) +
                                      ". Append with append(), or widen() the bounds.");
        if (!refuses()) {
            if (percent_ != 0 && records.cursor() == 0 && random_() % 2 == 0) {
                batch<T> mine;
                mine.swap(records);
                take(mine, mine.size());
            } else {
                take(records, records.size());
            }
            return end(progress::done);
        }
        if (percent_ != 0) take(records, records.cursor() + random_() % (records.remaining() + 1));
        return end(progress::blocked, records.cursor());
    }
    progress on_watermark(timestamp w) override {
        begin({call::kind::watermark, nullptr, 0, 0, w.ns()});
        not_ended("watermark " + to_string(w));
        if (w <= last_watermark_)
            throw contract_breach("watermark " + to_string(w) + " does not rise: the last one was " +
                                  to_string(last_watermark_));
        if (refuses()) return end(progress::blocked);
        last_watermark_ = w;
        return keep({arrived_signal::kind::watermark, w, 0, records_.size()});
    }
    progress on_activity(activity a) override {
        begin({call::kind::activity, nullptr, 0, 0, static_cast<std::int64_t>(a)});
        not_ended("idle or active");
        if (refuses()) return end(progress::blocked);
        return keep({a == activity::idle ? arrived_signal::kind::idle : arrived_signal::kind::active, timestamp::min(),
                     0, records_.size()});
    }
    progress on_barrier(checkpoint_id id) override {
        begin({call::kind::barrier, nullptr, 0, 0, static_cast<std::int64_t>(id)});
        not_ended("barrier");
        if (id <= last_barrier_)
            throw contract_breach("barrier " + std::to_string(id) + " does not rise: the last one was " +
                                  std::to_string(last_barrier_));
        if (refuses()) return end(progress::blocked);
        last_barrier_ = id;
        return keep({arrived_signal::kind::barrier, timestamp::min(), id, records_.size()});
    }
    progress flush() override {
        begin({call::kind::flush, nullptr, 0, 0, 0});
        return end(refuses() ? progress::blocked : progress::done);
    }

private:
    struct call {
        enum class kind : unsigned char { none, batch, watermark, activity, barrier, flush };
        kind what = kind::none;
        const void* records = nullptr;
        std::size_t size = 0;
        std::size_t cursor = 0;
        std::int64_t argument = 0;
        friend bool operator==(const call&, const call&) = default;
    };

    static std::string text(const call& c) {
        switch (c.what) {
            case call::kind::none: return "nothing";
            case call::kind::batch:
                return "on_batch(" + std::to_string(c.size) + " records, cursor " + std::to_string(c.cursor) + ")";
            case call::kind::watermark: return "on_watermark(" + to_string(timestamp(c.argument)) + ")";
            case call::kind::activity: return c.argument == 0 ? "on_activity(active)" : "on_activity(idle)";
            case call::kind::barrier: return "on_barrier(" + std::to_string(c.argument) + ")";
            case call::kind::flush: return "flush()";
        }
        return "?";
    }

    void begin(const call& c) {
        if (is_blocking() && c != pending_) {
            const bool other_batch =
                c.what == call::kind::batch && pending_.what == call::kind::batch && c.records != pending_.records;
            throw contract_breach(text(pending_) + " was answered `blocked`, but " + text(c) +
                                  (other_batch ? " of another batch" : "") +
                                  " came next. The same call must be repeated, with the same argument.");
        }
        current_ = c;
    }
    progress end(progress p, std::size_t cursor = 0) {
        if (p == progress::blocked) {
            ++refusals_;
            pending_ = current_;
            pending_.cursor = cursor;
        } else {
            pending_ = {};
        }
        return p;
    }
    void not_ended(const std::string& what) const {
        if (is_finished()) throw contract_breach(what + " came after the end of the input (watermark max)");
    }
    bool refuses() {
        if (refuse_next_ != 0) {
            --refuse_next_;
            return true;
        }
        return percent_ != 0 && random_() % 100 < percent_;
    }
    progress keep(arrived_signal s) {
        signals_.push_back(s);
        return end(progress::done);
    }
    void take(batch<T>& from, std::size_t until) {
        for (std::size_t i = from.cursor(); i < until; ++i) records_.push_back({from.take(i), from.time(i)});
        from.consume_until(until);
    }

    std::vector<timed<T>> records_;
    std::vector<arrived_signal> signals_;
    timestamp last_watermark_ = timestamp::min();
    checkpoint_id last_barrier_ = 0;
    call current_;
    call pending_;
    std::size_t refusals_ = 0;
    std::size_t largest_batch_ = 0;
    std::size_t refuse_next_ = 0;
    unsigned percent_ = 0;
    std::mt19937_64 random_;
};

}  // namespace runnel::testing
