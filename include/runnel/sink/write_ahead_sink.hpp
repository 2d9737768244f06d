#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

namespace detail {

/// What one writer has prepared for a checkpoint.
struct write_ahead_part {
    checkpoint_id after = 0;   ///< The target held the results up to this checkpoint; 0: none.
    std::uint64_t number = 0;  ///< Of this writer's parts; of several that come together, this is their order.
    std::string layout;
    std::uint64_t count = 0;
    byte_reader values{{}};    ///< So many, encoded.

    std::string encode(std::string_view encoded_values) const;
};

/// In the order in which each writer has prepared them; the values refer to `prepared`.
std::vector<write_ahead_part> read_parts(const std::vector<std::string>& prepared);
/// Throws unless a target that is at checkpoint `there` can be brought to `id` by these parts.
void check_target(const std::string& sink, const std::string& owner, checkpoint_id there, checkpoint_id id,
                  const std::vector<write_ahead_part>& parts);
[[noreturn]] void refuse_layout(const std::string& sink, const std::string& owner, checkpoint_id id);

}  // namespace detail

/// A sink for a target that can store results and a number in one transaction, such as a database: derive, and give
/// `name`, `store` and `stored`.
///
/// In a job with checkpoints, output is exactly once: the results between two checkpoints become part of the second
/// one, and are stored together with its number when it is complete. After a crash, the number in the target says
/// whether that has been done. They are held in memory, encoded, until then, and written to disk twice.
/// In a job without, results are stored when the input runs empty, or there are many; at least once.
/// Thread safety: `store` and `stored` are called by one thread at a time, `check` by any, also meanwhile.
/// Order: results are stored in the order in which they come, unless `max_parallelism` allows more than one writer.
/// Errors: what the three throw ends the job; `checkpoint_error` if the target does not fit the checkpoint that the job
/// goes on from: it holds results of a later one, or lacks some that it has held.
/// Example: a store of keys and values that has transactions.
///
///     class stored_counts final : public runnel::write_ahead_sink<page_count> {
///     public:
///         explicit stored_counts(database& db) : db_(db) {}
///         std::string name() const override { return "stored_counts"; }
///         void store(runnel::checkpoint_id id, const std::string& owner,
///                    const std::vector<page_count>& results) override {
///             database::transaction t = db_.begin();  // is rolled back if there is no commit
///             for (const page_count& r : results) t.put("count of " + r.page, std::to_string(r.count));
///             if (!owner.empty()) t.put("checkpoint of " + owner, std::to_string(id));
///             t.commit();
///         }
///         runnel::checkpoint_id stored(const std::string& owner) override {
///             return std::stoull(db_.get("checkpoint of " + owner).value_or("0"));
///         }
///
///     private:
///         database& db_;
///     };
///
///     counts.to(std::make_shared<stored_counts>(db)).named("counts");
template <class T>
class write_ahead_sink : public sink<T> {
    static_assert(encodable<T>, "runnel: write_ahead_sink: results become part of checkpoints, and this type has no "
                                "codec. Describe it with BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it.");

public:
    /// In one transaction: stores `results`, in their order, and `id` as the number of `owner`, instead of the one that
    /// is there. All is durable when it returns; if it throws, nothing has been stored, or `stored` tells.
    /// `owner` is empty if the job makes no checkpoints: then there is no number to store.
    virtual void store(checkpoint_id id, const std::string& owner, const std::vector<T>& results) = 0;
    /// The number of `owner` in the target; 0: none.
    virtual checkpoint_id stored(const std::string& owner) = 0;
    /// Throws if the target cannot hold the result. Here the record is still to blame, and follows the policy for
    /// errors; what `store` refuses ends the job again and again, since it is part of a checkpoint.
    virtual void check(const T& /*result*/) const {}
    /// Tells how results are encoded, so that a checkpoint of another version of the program is refused where bytes
    /// could be taken for what they are not. `layout_of<T>` unless the bytes mean something else each time.
    virtual std::string layout() const { return layout_of<T>(); }

    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        return std::make_unique<writer>(*this, context.owner);
    }
    bool is_transactional() const final { return true; }
    void commit(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) final {
        std::vector<detail::write_ahead_part> parts = detail::read_parts(prepared);
        const auto is_empty = [](const detail::write_ahead_part& p) { return p.count == 0; };
        if (std::all_of(parts.begin(), parts.end(), is_empty)) return;
        const std::lock_guard lock(mutex_);
        if (stored(owner) >= id) return;
        store(id, owner, decode(id, owner, parts));
        stored_ = id;
    }
    /// A sink that has more to look at does so first, and goes on with this.
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        stored_ = stored(owner);
        detail::check_target(this->name(), owner, stored_, id, detail::read_parts(prepared));
        if (id != 0) commit(id, owner, prepared);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(write_ahead_sink& to, const std::string& owner) : to_(to), gathers_(!owner.empty()) {}
        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                const T& value = std::as_const(records).value(i);
                to_.check(value);
                if (gathers_) {
                    gather(value);
                } else {
                    if (results_.size() >= enough) flush();
                    results_.push_back(records.take(i));
                }
            }
            records.consume_until(records.size());
            return progress::done;
        }
        progress flush() override {
            if (results_.empty()) return progress::done;
            const std::lock_guard lock(to_.mutex_);
            to_.store(0, {}, results_);
            results_.clear();
            return progress::done;
        }
        std::string prepare() override {
            part_.after = to_.stored_;
            // Where there has never been a result there is nothing to be known, either.
            if (part_.count == 0 && part_.after == 0) return {};
            part_.layout = to_.layout();
            std::string bytes = part_.encode(values_);
            ++part_.number;
            part_.count = 0;
            values_.clear();
            return bytes;
        }

    private:
        static constexpr std::size_t enough = 10'000;
        void gather(const T& value) {
            const std::size_t before = values_.size();
            try {
                codec<T>::encode(value, values_);
            } catch (...) {
                values_.resize(before);
                throw;
            }
            ++part_.count;
        }

        write_ahead_sink& to_;
        const bool gathers_;  ///< For a checkpoint.
        std::vector<T> results_;
        detail::write_ahead_part part_;
        std::string values_;  ///< Of `part_`, encoded.
    };

    std::vector<T> decode(checkpoint_id id, const std::string& owner,
                          std::vector<detail::write_ahead_part>& parts) const {
        std::vector<T> results;
        for (detail::write_ahead_part& p : parts) {
            if (p.layout != layout()) detail::refuse_layout(this->name(), owner, id);
            try {
                for (; p.count != 0; --p.count) results.push_back(codec<T>::decode(p.values));
            } catch (const decode_error&) {
                detail::refuse_layout(this->name(), owner, id);
            }
            if (!p.values.empty()) detail::refuse_layout(this->name(), owner, id);
        }
        return results;
    }

    std::mutex mutex_;
    /// The number that the target is known to hold.
    std::atomic<checkpoint_id> stored_{0};
};

}  // namespace runnel
